#include <gtest/gtest.h>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

class StoreTest : public ServiceTest {
 protected:
    std::vector<ChunkStat> stat(std::vector<ChunkId> ids) {
        std::optional<std::vector<ChunkStat>> answers;
        service_->stat(std::move(ids), [&](auto got) { answers = std::move(got); });
        EXPECT_FALSE(answers);
        EXPECT_TRUE(wait([&] { return answers.has_value(); }));
        return *answers;
    }
};

TEST_F(StoreTest, StoresCachesAndServes) {
    const Bytes bytes = random_bytes(200'000, 1);
    const ChunkId id = name_of(bytes);
    const auto outcome = store(id, bytes);
    ASSERT_TRUE(outcome.ok());
    EXPECT_FALSE(outcome->already_there);
    EXPECT_EQ(outcome->durability, Durability::kObjectStore);
    EXPECT_EQ(store_.objects.at(key_of(id)), bytes);
    auto taker = take(id, bytes);  // at once, whether or not the cache has it yet
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    ASSERT_TRUE(wait_cached(id));
    EXPECT_EQ(store_.gets_begun, 0U);
    EXPECT_EQ(service_->stats().uploaded_bytes, 200'000U);
}

TEST_F(StoreTest, RefusesBytesThatDoNotMatchEvenUnderAKnownName) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    Bytes wrong = bytes;
    wrong[999] ^= 1;
    const auto outcome = store(id, wrong);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(store_.objects.at(key_of(id)), bytes);
    EXPECT_EQ(store_.puts_begun, 1U);
    EXPECT_EQ(service_->stats().refused_uploads, 1U);
}

TEST_F(StoreTest, RefusesSizesThatNoChunkHas) {
    EXPECT_EQ(store(name_of({}), {}).error().code, ErrorCode::kInvalid);
    const Bytes large = random_bytes(options_.max_chunk_bytes + 1, 1);
    EXPECT_EQ(store(name_of(large), large).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(service_->allocate(0).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(service_->allocate(options_.max_metadata_bytes + 1).error().code,
              ErrorCode::kInvalid);
}

TEST_F(StoreTest, UploadsAreBoundedByTheirBudget) {
    options_.upload_budget_bytes = 10'000;
    restart();
    auto first = service_->allocate(6'000);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ((*first)->size(), 6'000U);
    EXPECT_EQ(service_->allocate(6'000).error().code, ErrorCode::kLimit);
    first->reset();
    EXPECT_TRUE(service_->allocate(6'000).ok());
    EXPECT_EQ(service_->upload_budget_used_bytes(), 0U);
}

TEST_F(StoreTest, StoresOfTheSameNameShareOneUpload) {
    store_.hold_puts = true;
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    int answered = 0;
    for (int i = 0; i < 5; ++i) {
        service_->store(id, buffer_of(bytes), [&](const auto& outcome) {
            EXPECT_TRUE(outcome.ok());
            ++answered;
        });
    }
    ASSERT_TRUE(wait([&] { return store_.puts_begun == 1; }));
    ASSERT_TRUE(wait([&] { return jobs_.queued() == 0; }));
    turn();
    EXPECT_EQ(answered, 0);
    store_.finish_put(store_.puts()[0]);
    ASSERT_TRUE(wait([&] { return answered == 5; }));
    store_.hold_puts = false;
    const auto again = store(id, bytes);
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->already_there);
}

TEST_F(StoreTest, PromisesAnewWhatAnotherMayHaveDeleted) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    store_.objects.erase(key_of(id));  // another worker's `kollator rm`
    clock_.advance(options_.stored_promise_ttl);
    const auto again = store(id, bytes);
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->already_there);
    EXPECT_TRUE(store_.objects.contains(key_of(id)));
}

TEST_F(StoreTest, BoundsUploadsUnderWay) {
    options_.max_uploads = 2;
    restart();
    store_.hold_puts = true;
    std::vector<ErrorCode> errors;
    for (std::uint64_t i = 0; i < 3; ++i) {
        const Bytes bytes = random_bytes(100, i);
        service_->store(name_of(bytes), buffer_of(bytes), [&](const auto& outcome) {
            if (!outcome) errors.push_back(outcome.error().code);
        });
    }
    ASSERT_TRUE(wait([&] { return !errors.empty(); }));
    EXPECT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kLimit});
    ASSERT_TRUE(wait([&] { return store_.puts_begun == 2; }));
    store_.finish_put(store_.puts()[0]);
    store_.hold_puts = false;
    EXPECT_TRUE(store(name_of(random_bytes(100, 9)), random_bytes(100, 9)).ok());
}

TEST_F(StoreTest, PromisesNothingWhenTheStoreFails) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    for (const auto& [given, told] : std::vector<std::pair<ErrorCode, ErrorCode>>{
             {ErrorCode::kUnavailable, ErrorCode::kUnavailable},
             {ErrorCode::kTimeout, ErrorCode::kTimeout},
             {ErrorCode::kCorrupt, ErrorCode::kUnavailable},
             {ErrorCode::kInvalid, ErrorCode::kUnavailable}}) {
        store_.put_error = make_error(given, "out of order");
        EXPECT_EQ(store(id, bytes).error().code, told);
    }
    EXPECT_FALSE(cache_->size_of(id));
    store_.put_error.reset();
    EXPECT_FALSE(store(id, bytes)->already_there);
}

TEST_F(StoreTest, AnUploadAnswersThoseWhoWaitForTheChunk) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(100'000, 1);
    const ChunkId id = name_of(bytes);
    auto waiting = take(id, bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    ASSERT_TRUE(wait([&] { return waiting->ended(); }));
    EXPECT_TRUE(waiting->finished);
    EXPECT_TRUE(store_.gets()[0]->cancelled);
}

TEST_F(StoreTest, StatsAThousandChunks) {
    std::vector<ChunkId> ids;
    std::vector<Residency> expected;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const Bytes bytes = random_bytes(10 + i % 50, i);
        ids.push_back(name_of(bytes));
        if (i % 3 == 0) put_in_store(bytes);
        expected.push_back(i % 3 == 0 ? Residency::kObjectStore : Residency::kNotStored);
    }
    const Bytes cached = random_bytes(77, 5000);
    ASSERT_TRUE(store(name_of(cached), cached).ok());
    ASSERT_TRUE(wait_cached(name_of(cached)));
    ids.push_back(name_of(cached));
    expected.push_back(Residency::kCachedHere);

    const auto answers = stat(ids);
    ASSERT_EQ(answers.size(), 1001U);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        ASSERT_EQ(answers[i].residency, expected[i]) << i;
        if (i < 1000) {
            ASSERT_EQ(answers[i].size_bytes, i % 3 == 0 ? 10 + i % 50 : 0);
        }
    }
    EXPECT_EQ(answers[1000].size_bytes, 77U);
    EXPECT_EQ(store_.stats_begun, 1000U);
    EXPECT_EQ(store_.most_stats_at_once, 16U);
    (void)stat(ids);  // all of it is remembered for now
    EXPECT_EQ(store_.stats_begun, 1000U);
    clock_.advance(std::chrono::seconds(3));
    (void)stat(ids);
    EXPECT_EQ(store_.stats_begun, 1000U + 666U);
}

TEST_F(StoreTest, WhatCannotBeLearntInTimeIsUnknown) {
    options_.stat_timeout = std::chrono::milliseconds(20);
    restart();
    store_.hold_stats = true;
    std::vector<ChunkId> ids;
    for (std::uint64_t i = 0; i < 40; ++i) ids.push_back(put_in_store(random_bytes(10, i)));
    std::optional<std::vector<ChunkStat>> answers;
    service_->stat(ids, [&](auto got) { answers = std::move(got); });
    store_.finish_stat(store_.stats_asked()[3]);
    ASSERT_TRUE(wait([&] { return answers.has_value(); }));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ((*answers)[i].residency, i == 3 ? Residency::kObjectStore : Residency::kUnknown);
    }
    EXPECT_EQ(store_.stats_at_once, 0U);  // the rest has been cancelled
    store_.hold_stats = false;
    EXPECT_EQ(stat({ids[7]})[0].residency, Residency::kObjectStore);
    store_.stat_error = make_error(ErrorCode::kUnavailable, "out of order");
    EXPECT_EQ(stat({ids[8]})[0].residency, Residency::kUnknown);
    EXPECT_TRUE(stat({}).empty());
}

TEST_F(StoreTest, OneLongQueryDoesNotHoldUpAnother) {
    store_.hold_stats = true;
    std::vector<ChunkId> many;
    for (std::uint64_t i = 0; i < 500; ++i) many.push_back(name_of(random_bytes(10, i)));
    bool long_done = false;
    service_->stat(many, [&](const auto&) { long_done = true; });
    std::optional<std::vector<ChunkStat>> quick;
    service_->stat({put_in_store(random_bytes(10, 9999))},
                   [&](auto got) { quick = std::move(got); });
    for (std::size_t i = 0; i < 40 && !quick; ++i) store_.finish_stat(store_.stats_asked()[i]);
    ASSERT_TRUE(quick);
    EXPECT_EQ((*quick)[0].residency, Residency::kObjectStore);
    EXPECT_FALSE(long_done);
}

TEST_F(StoreTest, ListsWhatIsCachedAndWhatIsStored) {
    std::vector<ChunkId> ids;
    for (std::uint64_t i = 0; i < 5; ++i) {
        const Bytes bytes = random_bytes(100 + i, i);
        ids.push_back(name_of(bytes));
        ASSERT_TRUE(store(ids.back(), bytes).ok());
        ASSERT_TRUE(wait_cached(ids.back()));
    }
    ids.push_back(put_in_store(random_bytes(500, 99)));
    std::sort(ids.begin(), ids.end());
    const auto cached = service_->list_cached(ChunkId(), 3);
    EXPECT_EQ(cached.entries.size(), 3U);
    EXPECT_TRUE(cached.more);
    EXPECT_FALSE(service_->list_cached(cached.entries.back().id, 3).more);

    std::optional<Result<ChunkPage>> page;
    service_->list_stored(ids[1], 4, [&](auto got) { page = std::move(got); });
    ASSERT_TRUE(wait([&] { return page.has_value(); }));
    ASSERT_TRUE(page->ok());
    ASSERT_EQ((*page)->entries.size(), 4U);
    EXPECT_EQ((*page)->entries[0].id, ids[2]);
    EXPECT_FALSE((*page)->more);
    store_.list_error = make_error(ErrorCode::kUnavailable, "out of order");
    page.reset();
    service_->list_stored(ids[1], 4, [&](auto got) { page = std::move(got); });
    ASSERT_TRUE(wait([&] { return page.has_value(); }));
    EXPECT_EQ(page->error().code, ErrorCode::kUnavailable);
}

TEST_F(StoreTest, BoundsListings) {
    options_.max_lists = 1;
    restart();
    std::vector<bool> outcomes;
    for (int i = 0; i < 2; ++i) {
        service_->list_stored(ChunkId(), 4, [&](const auto& got) { outcomes.push_back(got.ok()); });
    }
    ASSERT_TRUE(wait([&] { return outcomes.size() == 2; }));
    EXPECT_NE(outcomes[0], outcomes[1]);
}

TEST_F(StoreTest, CallbacksStopWithTheService) {
    const Bytes bytes = random_bytes(1000, 1);
    service_->store(name_of(bytes), buffer_of(bytes), [](const auto&) { FAIL(); });
    service_->store(name_of({}), buffer_of({}), [](const auto&) { FAIL(); });
    service_->stat({name_of(bytes)}, [](const auto&) { FAIL(); });
    service_->list_stored(ChunkId(), 4, [](const auto&) { FAIL(); });
    service_.reset();
    ASSERT_TRUE(wait([&] { return jobs_.queued() == 0; }));
    turn();
}

class MetadataTest : public StoreTest {
 protected:
    static std::string text_of(const std::string& name) {
        return "d4:infod9:file treed1:ad0:d6:lengthi0eeee12:meta versioni2e4:name" +
               std::to_string(name.size()) + ":" + name + "12:piece lengthi16384eee";
    }
    static MetadataId id_of(const std::string& text) {
        return MetadataId(
            crypto::sha256(as_bytes(std::string_view(text).substr(7, text.size() - 8))));
    }
    Result<StoreOutcome> store_metadata(const MetadataId& id, const std::string& text) {
        std::optional<Result<StoreOutcome>> outcome;
        service_->store(id, buffer_of(Bytes(text.begin(), text.end())),
                        [&](auto result) { outcome = std::move(result); });
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return *outcome;
    }
    bool wait_kept(const MetadataId& id) {
        return wait([&] {
            return metadata_cache_->size_of(ChunkId(id.bytes())) &&
                   service_->fetches_under_way() == 0;
        });
    }
    TorrentPage list_cached(const MetadataId& after, std::size_t limit) {
        std::optional<TorrentPage> page;
        service_->list_cached_torrents(after, limit, [&](auto got) { page = std::move(got); });
        EXPECT_TRUE(wait([&] { return page.has_value(); }));
        return *page;
    }
    TorrentPage list_stored(const MetadataId& after, std::size_t limit) {
        std::optional<Result<TorrentPage>> page;
        service_->list_stored_torrents(after, limit, [&](auto got) { page = std::move(got); });
        EXPECT_TRUE(wait([&] { return page.has_value(); }));
        return **page;
    }
    Result<std::string> read_metadata(const MetadataId& id) {
        bool ready = true;
        auto reader = service_->open(id, 0, 0, [&] { ready = true; });
        std::string got;
        while (!reader->finished()) {
            if (!wait([&] { return ready; })) break;
            auto slice = reader->next(100);
            if (!slice) return slice.error();
            ready = slice->has_value();
            if (*slice) got += as_text((*slice)->bytes);
        }
        return got;
    }
};

TEST_F(MetadataTest, IsVerifiedStoredAndKept) {
    const std::string text = text_of(std::string(300, 'n'));
    const MetadataId id = id_of(text);
    ASSERT_TRUE(store_metadata(id, text).ok());
    EXPECT_EQ(store_.objects.count(store::ObjectKey(id)), 1U);
    EXPECT_EQ(*read_metadata(id), text);
    EXPECT_EQ(store_.gets_begun, 0U);
    ASSERT_TRUE(wait_kept(id));
    restart();
    EXPECT_EQ(*read_metadata(id), text);
    EXPECT_EQ(*read_metadata(id), text);
    EXPECT_EQ(store_.gets_begun, 0U);  // from the disk
    std::filesystem::remove_all(folder_.path() / "metadata");
    restart();
    EXPECT_EQ(*read_metadata(id), text);
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(MetadataTest, TheLastOneStoredStands) {
    const std::string first = text_of("name");
    const MetadataId id = id_of(first);
    std::string second = first;  // the same info dictionary with something beside it
    second.insert(1, "7:comment2:hi");
    ASSERT_TRUE(store_metadata(id, first).ok());
    ASSERT_TRUE(wait_kept(id));
    ASSERT_TRUE(store_metadata(id, second).ok());
    ASSERT_TRUE(wait([&] { return service_->fetches_under_way() == 0; }));
    EXPECT_EQ(*read_metadata(id), second);
    EXPECT_EQ(store_.gets_begun, 0U);
}

TEST_F(MetadataTest, IsRefusedWhereItDoesNotMatchOrIsNone) {
    const std::string text = text_of("a");
    EXPECT_EQ(store_metadata(id_of(text_of("b")), text).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(store_metadata(id_of(text), "d4:infodee").error().code, ErrorCode::kInvalid);
    EXPECT_EQ(store_metadata(id_of(text), "").error().code, ErrorCode::kInvalid);
    EXPECT_EQ(store_.puts_begun, 0U);
}

TEST_F(MetadataTest, WrongBytesOfTheStoreAreNotGivenOut) {
    const std::string text = text_of("a");
    const std::string other = text_of("b");
    store_.objects[store::ObjectKey(id_of(text))] = Bytes(other.begin(), other.end());
    EXPECT_EQ(read_metadata(id_of(text)).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(read_metadata(id_of(other)).error().code, ErrorCode::kNotFound);
}

TEST_F(MetadataTest, IsListedWithWhatItSays) {
    std::vector<MetadataId> ids;
    for (char name = 'a'; name < 'e'; ++name) {
        const std::string text = text_of(std::string(3, name));
        ids.push_back(id_of(text));
        ASSERT_TRUE(store_metadata(ids.back(), text).ok());
        ASSERT_TRUE(wait_kept(ids.back()));
    }
    const std::string elsewhere = text_of("elsewhere");  // stored by another worker
    store_.objects[store::ObjectKey(id_of(elsewhere))] = Bytes(elsewhere.begin(), elsewhere.end());
    for (int round = 0; round < 2; ++round) {  // the second time it is remembered
        const TorrentPage cached = list_cached(MetadataId(), 10);
        ASSERT_EQ(cached.entries.size(), 4U);
        for (const TorrentEntry& entry : cached.entries) {
            ASSERT_TRUE(entry.summary);
            EXPECT_EQ(entry.summary->name.size(), 3U);
            EXPECT_EQ(entry.metadata_bytes, text_of("abc").size());
        }
        restart();
    }
    const TorrentPage stored = list_stored(MetadataId(), 10);
    ASSERT_EQ(stored.entries.size(), 5U);
    for (const TorrentEntry& entry : stored.entries) {
        EXPECT_EQ(entry.summary.has_value(), entry.id != id_of(elsewhere));
    }
    const TorrentPage first = list_cached(MetadataId(), 3);
    EXPECT_TRUE(first.more);
    const TorrentPage rest = list_cached(first.entries.back().id, 3);
    EXPECT_FALSE(rest.more);
    EXPECT_EQ(rest.entries.size(), 1U);
}

TEST_F(MetadataTest, IsRemovedFromTheCacheAndTheStore) {
    const std::string text = text_of("a");
    const MetadataId id = id_of(text);
    ASSERT_TRUE(store_metadata(id, text).ok());
    ASSERT_TRUE(wait_kept(id));
    std::optional<Result<std::int64_t>> gone;
    service_->remove(store::ObjectKey(id), [&](auto outcome) { gone = outcome; });
    EXPECT_TRUE(list_cached(MetadataId(), 10).entries.empty());
    ASSERT_TRUE(wait([&] { return gone.has_value(); }));
    EXPECT_EQ(**gone, 0);
    EXPECT_TRUE(store_.objects.empty());
    EXPECT_EQ(read_metadata(id).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(list_stored(MetadataId(), 10).entries.empty());
}

}  // namespace
}  // namespace kollator::chunk

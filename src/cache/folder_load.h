#pragma once

#include <unordered_set>

#include "cache/folder_cache.h"

namespace kollator::cache {

/// The indexing of a folder under way, and what happened to the cache meanwhile.
struct FolderCache::Load {
    LoadedFolder folder;
    bool read = false;      // the job is back
    bool at_start = false;  // before the loop runs: it may block
    std::size_t next = 0;   // of folder.items
    std::vector<IndexItem> dropped;
    std::unordered_set<ChunkId, KeyedHash> removed;
    bool cleared = false;
};

}  // namespace kollator::cache

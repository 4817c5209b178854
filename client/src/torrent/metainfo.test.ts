import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { localHasher } from "../hash/chunk_hasher.ts";
import { platformDigest } from "../hash/digest.ts";
import { sha256 } from "../hash/sha256.ts";
import { type Bytes, concatBytes, encodeText, toHex } from "../protocol/bytes.ts";
import { type Bencoded, decodeBencode, encodeBencode, keyOf } from "./bencode.ts";
import { unitBytesFor } from "./merkle.ts";
import { type Metainfo, UnusableMetainfo, buildMetainfo, openMetainfo } from "./metainfo.ts";

const digest = platformDigest();
const chunkSize = 5 * 1024 * 1024;

function sampleFile(sizeBytes: number): Bytes {
    return Uint8Array.from(
        { length: sizeBytes },
        (_, i) => (i * 7 + (i >> 8) * 3 + (i >> 16)) & 0xff,
    );
}

async function metainfoOf(bytes: Bytes, name = "file.bin"): Promise<Metainfo> {
    const unitBytes = unitBytesFor(chunkSize, bytes.length);
    const chunkHashes: Bytes[] = [];
    const unitRoots: Bytes[] = [];
    for (let offset = 0; offset < bytes.length; offset += chunkSize) {
        const length = Math.min(chunkSize, bytes.length - offset);
        const hashes = await localHasher(digest).hash(new Blob([bytes]), {
            offset,
            length,
            unitBytes,
        });
        chunkHashes.push(hashes.chunkHash);
        unitRoots.push(...hashes.unitRoots);
    }
    const file = { name, sizeBytes: bytes.length, chunkSize, chunkHashes };
    return buildMetainfo(file, { unitRoots, unitBytes }, digest);
}

function at(value: Bencoded | undefined, ...path: string[]): Bencoded | undefined {
    return path.reduce<Bencoded | undefined>(
        (found, key) => (found instanceof Map ? found.get(key) : undefined),
        value,
    );
}

/** What libtorrent 2.0.8 makes of the same bytes with the same piece length. */
const ofLibtorrent: [size: number, piece: number, root: string, pieces: number, layer: string][] = [
    [1, 16384, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", 0, ""],
    [16384, 16384, "ea2a07f21f00a3ebb1f7f8c90e17d4d122aa127fc675cf4ce1949195d1e9995d", 0, ""],
    [16385, 32768, "1a756ba8cc3fb4db13e9be7a71230ab4835a1de9fb17a57ed69b4a8e38ed4c73", 0, ""],
    [20000, 32768, "d293be946017ad9cd4fc9c1a737f93543484b795f7c272b41ee6995e9e521e03", 0, ""],
    [1048576, 1048576, "58ba1036b6bb40272304828ae83d52b07a3ac98bcfe0b7433efa24fe609e4467", 0, ""],
    [1048577, 1048576, "7a05187b36a97ae36e6531d1cbf2f6f27ab04b498dd69d038b793ccba727f79c", 2,
        "7a05187b36a97ae36e6531d1cbf2f6f27ab04b498dd69d038b793ccba727f79c"],
    [3000000, 1048576, "c40a98c4df939d3e55d9685d2f7a1337111c71993100b67d8acd3d9d4d2746a3", 3,
        "9943d9247e66842613b046e24ae59aa368526c2d9da4dd05e8ded8c7b308a9d7"],
    [5242880, 1048576, "d042e56b359d57cefbcfe07faef2302f20786d7fd0f2b1eb13d0190a34ca10a1", 5,
        "51e95a1927dadd5c89d58714d33c012d0ee118fc88b84524b5b8ff9be4bb831d"],
    [5242885, 1048576, "c51110338911456b8ab94690bbdea93303438353a5420c1e3b8d62b343d76bc4", 6,
        "72244e1f0f6c241b07dc7d7d318d9f9e78ff75485a484805c318a1a05ed8d6f0"],
    [12582909, 1048576, "fe6ebcfc6e4385da933c615d356ee4922d842e0b207b1cee576afd5e0ba87cd2", 12,
        "913ed7aac56480effdd24f210ea757db6495428a68480e66a417c6eca05aa7ae"],
];

for (const [sizeBytes, pieceLength, piecesRoot, pieces, layerHash] of ofLibtorrent) {
    test(`the Merkle tree of ${sizeBytes} bytes is the one libtorrent builds`, async () => {
        const { value } = decodeBencode((await metainfoOf(sampleFile(sizeBytes))).bytes);
        const root = at(value, "info", "file tree", "file.bin", "", "pieces root");
        assert.ok(root instanceof Uint8Array);
        assert.equal(toHex(root), piecesRoot);
        assert.equal(at(value, "info", "piece length"), pieceLength);
        const layers = at(value, "piece layers");
        assert.ok(layers instanceof Map);
        const layer = [...layers.values()];
        assert.equal(layer.length, pieces > 0 ? 1 : 0);
        if (layer[0] instanceof Uint8Array) {
            assert.equal(layer[0].length, 32 * pieces);
            assert.equal(createHash("sha256").update(layer[0]).digest("hex"), layerHash);
        }
    });
}

test("plain TypeScript and WebCrypto give the same tree", async () => {
    const bytes = sampleFile(100_000);
    const range = { offset: 0, length: bytes.length, unitBytes: 131072 };
    const plain = localHasher((input) => Promise.resolve(sha256(input)));
    const hashes = await plain.hash(new Blob([bytes]), range);
    assert.deepEqual(hashes, await localHasher(digest).hash(new Blob([bytes]), range));
});

test("what was built opens again under its info-hash", async () => {
    for (const [sizeBytes, name] of [[0, "empty"], [7, "größe 😀.txt"], [6_000_000, "a"]] as const) {
        const { bytes, infoHash, file } = await metainfoOf(sampleFile(sizeBytes), name);
        assert.deepEqual(await openMetainfo(bytes, infoHash, digest), file);
        assert.equal(file.chunkHashes.length, Math.ceil(sizeBytes / chunkSize));
    }
});

test("metadata cut short at any byte, or under another name, is refused", async () => {
    const { bytes, infoHash } = await metainfoOf(sampleFile(20_000));
    for (let length = 0; length < bytes.length; length++) {
        const cut = bytes.slice(0, length);
        await assert.rejects(openMetainfo(cut, infoHash, digest), UnusableMetainfo);
    }
    const other = infoHash.slice();
    other[0]! ^= 1;
    await assert.rejects(openMetainfo(bytes, other, digest), UnusableMetainfo);
});

type Info = Map<string, Bencoded>;
const spoilt: [what: string, spoil: (info: Info) => void][] = [
    ["another version", (info) => info.set("meta version", 1)],
    ["no file tree", (info) => info.delete("file tree")],
    ["two files", (info) => (info.get("file tree") as Info).set("other", new Map())],
    ["a folder", (info) => (info.get("file tree") as Info).set("file.bin", new Map([["x", 1]]))],
    ["a negative length", (info) => setLength(info, -1)],
    ["no chunk size", (info) => info.delete("kollator-chunk-size")],
    ["a chunk size of 0", (info) => info.set("kollator-chunk-size", 0)],
    ["huge chunks", (info) => info.set("kollator-chunk-size", 2 ** 40)],
    ["no chunk hashes", (info) => info.delete("kollator-chunk-hashes")],
    ["too few chunk hashes", (info) => setLength(info, chunkSize + 1)],
    ["half a chunk hash", (info) => info.set("kollator-chunk-hashes", new Uint8Array(16))],
];

function setLength(info: Info, length: number): void {
    const file = (info.get("file tree") as Info).get("file.bin") as Info;
    (file.get("") as Info).set("length", length);
}

for (const [what, spoil] of spoilt) {
    test(`metadata with ${what} is refused, though its hash is right`, async () => {
        const { value } = decodeBencode((await metainfoOf(sampleFile(20_000))).bytes);
        const info = (value as Info).get(keyOf("info")) as Info;
        spoil(info);
        const infoHash = await digest(encodeBencode(info));
        const bytes = encodeBencode(value);
        await assert.rejects(openMetainfo(bytes, infoHash, digest), UnusableMetainfo);
    });
}

test("metadata that is bencoded but no dictionary of an info is refused", async () => {
    for (const text of ["i1e", "le", "de", "d4:infoi1ee", "d4:infole"]) {
        const bytes = concatBytes([encodeText(text)]);
        await assert.rejects(openMetainfo(bytes, new Uint8Array(32), digest), UnusableMetainfo);
    }
});

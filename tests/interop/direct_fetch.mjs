// A chunk from a worker of which nothing is known but its direct address, by the SDK of client/. The
// same code runs in Node and inside a browser.

function silence(what) {
    throw new Error(`direct dial needs no ${what}`);
}

/**
 * What came of it: {workerId, sha256, bytes} or {error, kind}. `hash`: the chunk's name, in hex.
 * @param {{sdk: object, openPeerConnection: Function}} environment
 */
export async function fetchDirectly({ sdk, openPeerConnection }, address, hash) {
    const outcome = Promise.withResolvers();
    const client = new sdk.KollatorClient({
        workerAddress: address,
        platform: {
            fetch: () => silence("HTTP"),
            openWebSocket: () => silence("WebSocket"),
            openPeerConnection,
        },
        // Whoever is refused shall hear of it; to be let wait would prove nothing.
        connectTimeoutMs: 60_000,
        onState(state) {
            if (state.name === "connected") outcome.resolve({ workerId: state.workerId });
            if (state.name === "offline") {
                outcome.resolve({ error: state.error.message, kind: state.error.kind });
            }
        },
    });
    try {
        client.start();
        const told = await outcome.promise;
        if (told.error) return told;
        const name = sdk.fromHex(hash);
        const bytes = await client.run((session) => session.fetchChunk(name, session.maxChunkBytes));
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        return { ...told, sha256: sdk.toHex(digest), bytes: bytes.length };
    } finally {
        client.close();
    }
}

// Runs in Firefox: the cases one after the other, as the server hands them out.

import { answererCases } from "./answerer_cases.mjs";
import { cases, connectAndStay } from "./cases.mjs";
import { directCases } from "./direct_cases.mjs";

async function post(path, body) {
    const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return response.json();
}

const signal = Object.fromEntries(
    ["offer", "reoffer", "makeOffer", "acceptAnswer", "candidate", "close", "event"].map((name) => [
        name,
        (...args) => post(`/signal/${name}`, args),
    ]),
);
const library = { ...cases, ...answererCases, ...directCases, connectAndStay };

for (let outcome = {}; ; ) {
    const { name, direct, megabytes } = await post("/next", outcome);
    try {
        const environment = { RTCPeerConnection, signal, direct, megabytes };
        outcome = { note: await library[name](environment) };
    } catch (error) {
        outcome = { error: `${error.message}\n${error.stack}` };
    }
}

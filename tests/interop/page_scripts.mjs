// What the browsers' pages load: {"/cases.mjs": its text, …}.

import { readFile } from "node:fs/promises";

const names = [
    "answerer_cases",
    "bulk",
    "cases",
    "direct_cases",
    "firefox_page",
    "message_mix",
    "support",
];

export async function pageScripts() {
    const entries = names.map(async (name) => {
        return [`/${name}.mjs`, await readFile(new URL(`${name}.mjs`, import.meta.url))];
    });
    return new Map(await Promise.all(entries));
}

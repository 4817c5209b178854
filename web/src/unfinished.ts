/** Remembers the names of uploads under way, so that a reader knows what can be gone on with. */

export interface Unfinished {
    name: string;
    sizeBytes: number;
}

const storageKey = "kollator-unfinished";
const mostRemembered = 10;

export function listUnfinished(): Unfinished[] {
    try {
        const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "[]");
        return Array.isArray(stored) ? stored.filter(isUnfinished).slice(-mostRemembered) : [];
    } catch {
        return [];
    }
}

export function rememberUnfinished(upload: Unfinished): void {
    write([...without(upload), upload].slice(-mostRemembered));
}

export function forgetUnfinished(upload: Unfinished): void {
    write(without(upload));
}

function without({ name, sizeBytes }: Unfinished): Unfinished[] {
    return listUnfinished().filter((it) => it.name !== name || it.sizeBytes !== sizeBytes);
}

function write(uploads: Unfinished[]): void {
    try {
        localStorage.setItem(storageKey, JSON.stringify(uploads));
    } catch {
        // Storage may be forbidden or full: then nothing is remembered.
    }
}

function isUnfinished(value: unknown): value is Unfinished {
    const { name, sizeBytes } = Object(value) as Partial<Record<string, unknown>>;
    return typeof name === "string" && typeof sizeBytes === "number";
}

/** Numbers for people. */

const units = ["bytes", "kB", "MB", "GB", "TB"] as const;

/** "1 byte", "12.3 MB": decimal units, as file managers and networks count. */
export function formatBytes(bytes: number): string {
    if (bytes === 1) {
        return "1 byte";
    }
    let value = bytes;
    let unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
        value /= 1000;
        unit++;
    }
    const digits = unit === 0 || value >= 99.95 ? 0 : 1;
    return `${value.toFixed(digits)} ${units[unit]}`;
}

export function formatRate(bytesPerSecond: number): string {
    return `${formatBytes(bytesPerSecond)}/s`;
}

/** Coarser the longer it takes: a guess should not look like a measurement. */
export function formatTimeLeft(seconds: number): string {
    if (seconds < 1.5) {
        return "about a second left";
    }
    if (seconds < 55) {
        const step = seconds < 10 ? 1 : 5;
        return `${Math.ceil(seconds / step) * step} s left`;
    }
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) {
        return `${Math.max(1, minutes)} min left`;
    }
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min left` : `${Math.round(hours / 24)} days left`;
}

/** 100 only when everything is done. */
export function wholePercent(done: number, total: number): number {
    return total === 0 || done >= total ? 100 : Math.floor((100 * done) / total);
}

/** Up to four letters for the file's mark: "ZIP", "TAR", or "FILE". */
export function markOf(name: string): string {
    const extension = /\.([A-Za-z0-9]{1,4})$/.exec(name)?.[1];
    return (extension ?? "file").toUpperCase();
}

/** A name that every file system takes; the bytes of the path and of control characters go. */
export function safeFileName(name: string): string {
    const safe = [...name]
        .map((character) => (/[\p{Cc}\p{Cf}/\\:*?"<>|]/u.test(character) ? "_" : character))
        .join("")
        .replace(/^[. ]+|[. ]+$/g, "");
    return safe === "" ? "download" : safe.slice(0, 200);
}

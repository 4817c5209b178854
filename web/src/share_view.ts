/** Sharing: the drop zone and the list of uploads. */
import { byId, part, setText } from "./dom.ts";
import { formatBytes } from "./format.ts";
import { forgetUnfinished, listUnfinished } from "./unfinished.ts";
import { type UploadContext, UploadRow } from "./upload_row.ts";

/** Two share the line well: one hashes and asks while the other sends. */
const uploadsAtOnce = 2;

export class ShareView {
    readonly element = byId("share-view");
    readonly #rows = new Set<UploadRow>();
    readonly #context: UploadContext;
    readonly #waiting: (() => void)[] = [];
    #running = 0;

    constructor(context: Omit<UploadContext, "takeTurn">) {
        this.#context = { ...context, takeTurn: (task) => this.#takeTurn(task) };
        const input = byId("file-input") as HTMLInputElement;
        input.addEventListener("change", () => {
            this.add(input.files ?? []);
            input.value = "";
        });
        this.#watchDrops();
        this.#showUnfinished();
    }

    get isBusy(): boolean {
        return [...this.#rows].some((row) => row.isBusy);
    }

    /** Of all uploads under way, from 0 to 1; undefined where there is none. */
    get share(): number | undefined {
        const busy = [...this.#rows].filter((row) => row.isBusy);
        return busy.length === 0
            ? undefined
            : busy.reduce((sum, row) => sum + row.share, 0) / busy.length;
    }

    add(files: Iterable<File>): void {
        for (const file of files) {
            const row = new UploadRow(file, this.#context, (gone) => this.#remove(gone));
            this.#rows.add(row);
            part(byId("transfers"), "rows").prepend(row.element);
            row.start();
        }
        this.#showRows();
        byId("unfinished").hidden = true;
    }

    #remove(row: UploadRow): void {
        this.#rows.delete(row);
        row.element.remove();
        this.#showRows();
        byId("file-input").focus();
    }

    #showRows(): void {
        byId("transfers").hidden = this.#rows.size === 0;
        this.element.classList.toggle("has-rows", this.#rows.size > 0);
    }

    async #takeTurn(task: () => Promise<void>): Promise<void> {
        if (this.#running >= uploadsAtOnce) {
            await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        this.#running++;
        try {
            await task();
        } finally {
            this.#running--;
            this.#waiting.shift()?.();
        }
    }

    /** The whole window takes files: a file that misses the zone must not replace the page. */
    #watchDrops(): void {
        const zone = byId("drop-zone");
        let depth = 0;
        const hasFiles = (event: DragEvent): boolean =>
            event.dataTransfer?.types.includes("Files") ?? false;
        const show = (change: number): void => {
            depth = Math.max(0, depth + change);
            zone.classList.toggle("is-over", depth > 0);
        };
        window.addEventListener("dragenter", (event) => show(hasFiles(event) ? 1 : 0));
        window.addEventListener("dragleave", (event) => show(hasFiles(event) ? -1 : 0));
        window.addEventListener("dragover", (event) => event.preventDefault());
        window.addEventListener("drop", (event) => {
            event.preventDefault();
            show(-depth);
            if (!this.element.hidden) {
                this.add(filesOf(event.dataTransfer));
            }
        });
    }

    #showUnfinished(): void {
        const section = byId("unfinished");
        const items = listUnfinished().map(({ name, sizeBytes }) => {
            const item = document.createElement("li");
            setText(item, `${name} (${formatBytes(sizeBytes)})`);
            return item;
        });
        part(section, "list").replaceChildren(...items);
        section.hidden = items.length === 0;
        part(section, "forget").addEventListener("click", () => {
            listUnfinished().forEach(forgetUnfinished);
            section.hidden = true;
            byId("file-input").focus();
        });
    }
}

/** Folders look like files of no type; reading one fails later, so they are left out here. */
function filesOf(transfer: DataTransfer | null): File[] {
    const items = [...(transfer?.items ?? [])].filter((item) => item.kind === "file");
    return items.flatMap((item) => {
        const isFolder = item.webkitGetAsEntry()?.isDirectory === true;
        const file = item.getAsFile();
        return isFolder || file === null ? [] : [file];
    });
}

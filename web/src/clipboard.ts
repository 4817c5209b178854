/** False where the browser does not let us; the text is selected then, to be copied by hand. */
export async function copyText(field: HTMLInputElement): Promise<boolean> {
    field.select();
    try {
        // Missing where the page is no secure context (plain http from another machine).
        await navigator.clipboard.writeText(field.value);
        return true;
    } catch {
        return document.execCommand("copy");
    }
}

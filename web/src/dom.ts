/** The page's elements, by their data attributes: a missing one is a fault of the page. */

export function byId(id: string): HTMLElement {
    const element = document.getElementById(id);
    if (element === null) {
        throw new Error(`the page has no #${id}`);
    }
    return element;
}

export function part<T extends HTMLElement = HTMLElement>(root: ParentNode, name: string): T {
    const element = root.querySelector<T>(`[data-${name}]`);
    if (element === null) {
        throw new Error(`the page has no [data-${name}]`);
    }
    return element;
}

export function clone(templateId: string): HTMLElement {
    const template = byId(templateId) as HTMLTemplateElement;
    const element = template.content.firstElementChild?.cloneNode(true);
    if (!(element instanceof HTMLElement)) {
        throw new Error(`template #${templateId} is empty`);
    }
    return element;
}

/** Sets text only where it differs: screen readers read a live region again when it is touched. */
export function setText(element: HTMLElement, text: string): void {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

/** `done` and `ahead` are shares from 0 to 1. */
export function setBar(bar: HTMLElement, done: number, ahead = 0): void {
    bar.style.setProperty("--done", done.toFixed(4));
    bar.style.setProperty("--hashed", Math.max(done, ahead).toFixed(4));
    bar.setAttribute("aria-valuenow", String(Math.floor(done * 100)));
}

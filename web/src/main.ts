/** The page: connects, and shows either what can be shared or what was shared. */
import { KollatorClient } from "../../client/src/connection/client.ts";
import { workerHasher } from "../../client/src/hash/chunk_hasher.ts";
import { parseLink } from "../../client/src/link.ts";
import { Announcer } from "./announcer.ts";
import { ConnectionView } from "./connection_view.ts";
import { byId, part, setText } from "./dom.ts";
import { ReceiveView } from "./receive_view.ts";
import { removeLeftovers } from "./save.ts";
import { ShareView } from "./share_view.ts";

const pageTitle = "Kollator – share a file by link";
/** More do not help: reading the file is the limit then. */
const mostHashWorkers = 2;

function start(): void {
    if (typeof RTCPeerConnection !== "function") {
        const notice = byId("notice");
        const words =
            "This browser does not allow WebRTC, which this page needs. Allow it, or use another browser.";
        setText(part(notice, "text"), words);
        part(notice, "retry").hidden = true;
        notice.hidden = false;
        return;
    }
    const announcer = new Announcer();
    const client = new KollatorClient({
        frontUrl: location.origin,
        giveUpAfterMs: Infinity,
        agent: "kollator-web",
        onState: (state) => connection.show(state),
    });
    const connection = new ConnectionView(() => client.retryNow());
    const hasher = workerHasher(
        () => new Worker("/hash_worker.js", { type: "module" }),
        Math.min(mostHashWorkers, navigator.hardwareConcurrency),
    );
    const onChange = (): void => updateTitle(share.share ?? receive.share);
    const share: ShareView = new ShareView({ client, hasher, announcer, onChange });
    const receive: ReceiveView = new ReceiveView({ client, announcer, onChange });

    const route = (): void => {
        const link = parseLink(location.hash);
        share.element.hidden = link !== undefined;
        receive.element.hidden = link === undefined;
        if (link === undefined) {
            receive.close();
        } else {
            receive.open(link);
        }
    };
    window.addEventListener("hashchange", route);
    window.addEventListener("online", () => client.retryNow());
    window.addEventListener("beforeunload", (event) => {
        if (share.isBusy || receive.isBusy) {
            event.preventDefault();
        }
    });
    keepViewsInOnePage();
    route();
    client.start();
    void removeLeftovers();
}

/** "Home" is another view of this page: uploads under way go on. */
function keepViewsInOnePage(): void {
    for (const link of document.querySelectorAll<HTMLAnchorElement>("[data-home]")) {
        link.addEventListener("click", (event) => {
            event.preventDefault();
            location.hash = "";
        });
    }
    // Its fragment would look like a change of the view.
    part(document, "skip-link").addEventListener("click", (event) => {
        event.preventDefault();
        byId("main").focus();
    });
}

function updateTitle(share: number | undefined): void {
    const title = share === undefined ? pageTitle : `${Math.floor(share * 100)} % – Kollator`;
    if (document.title !== title) {
        document.title = title;
    }
}

start();

// Machines behind NATs, in network namespaces of their own: an internet with one public address for
// servers, and sites that are joined to it by a router each, which nftables makes into a kind of
// NAT and which counts what passes.
//
//   192.0.2.1 internet ── 198.51.100.x router 192.168.0.1 ── 192.168.0.2 host
//
// A namespace lives as long as the process that holds it open, and that ends with its standard
// input: nothing is left, however the test ends.

import { execFileSync, spawn, spawnSync } from "node:child_process";

export const INTERNET = "192.0.2.1";
export const TURN_PORT = 3478;
export const TURNS_PORT = 5349;
const HOST = "192.168.0.2";

const tools = ["conntrack", "ip", "nft", "nsenter", "tc", "unshare"];
const root = process.getuid() === 0;
/** Without root a user namespace gives what is needed, where the kernel lets everybody have one. */
const unshare = ["unshare", ...(root ? [] : ["--user", "--map-root-user"]), "--net"];

/** Why there can be no lab on this machine; false where there can. */
export function whyNoLab() {
    const missing = tools.filter((tool) => spawnSync("which", [tool]).status !== 0);
    if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
    const tried = spawnSync(unshare[0], [...unshare.slice(1), "nft", "add table ip nat { }"]);
    const words = tried.stderr.toString().trim().split("\n")[0];
    return tried.status !== 0 && `no network namespaces with nftables here: ${words}`;
}

class Namespace {
    #holder;

    /** `sibling`: one in whose user namespace the new one shall be. */
    static async make(sibling) {
        const namespace = new Namespace();
        const command = sibling && !root ? [...sibling.#userOnly(), "unshare", "--net"] : unshare;
        namespace.#holder = spawn(command[0], [...command.slice(1), "cat"], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        await new Promise((ready, fail) => {
            namespace.#holder.stdout.once("data", ready);
            namespace.#holder.once("exit", () => fail(new Error("no network namespace")));
            namespace.#holder.stdin.write("\n");
        });
        return namespace;
    }

    get pid() {
        return this.#holder.pid;
    }

    #userOnly() {
        return ["nsenter", "--target", String(this.pid), "--user", "--preserve-credentials"];
    }

    /** What a command line has to begin with to be run in here. */
    get via() {
        const user = root ? [] : ["--user", "--preserve-credentials"];
        return ["nsenter", "--target", String(this.pid), "--net", ...user];
    }

    run(...command) {
        const [program, ...args] = [...this.via, ...command];
        return execFileSync(program, args, { stdio: ["ignore", "pipe", "pipe"] }).toString();
    }

    script(text) {
        this.run("sh", "-ec", text);
    }

    end() {
        this.#holder.stdin.end();
    }
}

// What each kind of NAT does with UDP; TCP may always go out. "wan" is the router's address.
const natRules = {
    // One outside port for an inside port, open to everybody.
    "full cone": (wan) => ({ out: `snat to ${wan}`, in: `meta l4proto udp dnat to ${HOST}` }),
    // The same port, open to whom something was sent.
    "port-restricted": (wan) => ({ out: `snat to ${wan}` }),
    // Another port for each destination, open to it alone.
    symmetric: (wan) => ({ out: `meta l4proto udp snat to ${wan}:20000-60000 fully-random` }),
    "UDP blocked": (wan) => ({ out: `snat to ${wan}`, pass: "meta l4proto udp drop" }),
    // NAT 1:1, as clouds have it.
    "one to one": (wan) => ({ out: `snat to ${wan}`, in: `dnat to ${HOST}` }),
};

export const natKinds = Object.keys(natRules);

/** With whom a site's host may speak, as its router sees it. */
const partners = {
    turnUdp: [INTERNET, `udp`, String(TURN_PORT)],
    turnTcp: [INTERNET, `tcp`, String(TURN_PORT)],
    turnTls: [INTERNET, `tcp`, String(TURNS_PORT)],
    relayed: [INTERNET, `udp`, "49152-65535"], // an address that somebody else has on the relay
    direct: [`!= ${INTERNET}`, `udp`, "1-65535"],
};

function ruleset(kind, wan) {
    const rules = natRules[kind](wan);
    const names = Object.keys(partners);
    const counts = Object.entries(partners).flatMap(([name, [address, protocol, ports]]) => [
        `oifname wan ip daddr ${address} ${protocol} dport ${ports} counter name ${name}`,
        `iifname wan ip saddr ${address} ${protocol} sport ${ports} counter name ${name}`,
    ]);
    const chain = (name, hook, lines) =>
        `chain ${name} { type ${hook}; ${lines.map((line) => `${line};`).join("\n")} }`;
    return `table ip nat {
        ${names.map((name) => `counter ${name} { }`).join("\n")}
        ${chain("in", "nat hook prerouting priority dstnat", rules.in ? [`iifname wan ${rules.in}`] : [])}
        ${chain("out", "nat hook postrouting priority srcnat",
            [`oifname wan ${rules.out}`, `oifname wan snat to ${wan}`])}
        ${chain("pass", "filter hook forward priority filter", [...(rules.pass ? [rules.pass] : []), ...counts])}
        ${
            // Were it answered, what comes before the host has sent would take up the port.
            chain("here", "filter hook input priority filter", ["iifname wan drop"])
        }
    }`;
}

/** A host behind a router that is a NAT. */
class Site {
    constructor(host, router, wan) {
        this.host = host;
        this.router = router;
        this.wan = wan;
    }

    /** Bytes that passed the router both ways, by partner. */
    traffic() {
        const { nftables } = JSON.parse(this.router.run("nft", "--json", "list", "counters"));
        const counters = nftables.flatMap((each) => each.counter ?? []);
        return Object.fromEntries(counters.map(({ name, bytes }) => [name, bytes]));
    }

    /** The outside ports of the host's UDP. */
    mappedPorts() {
        const flows = this.router.run("conntrack", "--dump", "--proto", "udp", "--orig-src", HOST);
        return [...flows.matchAll(/src=\S+ dst=\S+ sport=\d+ dport=(\d+)(?: \[\w+\])* (?:mark|use)=/g)]
            .map((found) => Number(found[1]));
    }

    /** The router forgets who uses which port. */
    forget() {
        this.router.run("conntrack", "--delete", "--proto", "udp");
    }

    /** Holds what comes to the host to a rate. */
    slowDown(megabitsPerSecond) {
        this.router.run("tc", "qdisc", "add", "dev", "lan", "root", "tbf",
            "rate", `${megabitsPerSecond}mbit`, "burst", "64kb", "latency", "50ms");
    }

    end() {
        this.host.end();
        this.router.end();
    }
}

export class NatLab {
    #sites = 0;

    static async make() {
        const lab = new NatLab();
        lab.internet = await Namespace.make();
        // What is sent to a private address is lost on the way, and is no error for the sender.
        lab.internet.script(`ip link set lo up; ip address add ${INTERNET}/32 dev lo
            ip link add nowhere type veth peer name lost; ip link set nowhere up; ip link set lost up
            ip route add default dev nowhere src ${INTERNET}
            echo 1 > /proc/sys/net/ipv4/ip_forward`);
        return lab;
    }

    async addSite(kind) {
        const number = this.#sites++;
        const [router, host] = [await Namespace.make(this.internet), await Namespace.make(this.internet)];
        const [gateway, wan] = [1, 2].map((last) => `198.51.100.${number * 4 + last}`);
        this.internet.script(`ip link add site${number} type veth peer name wan netns ${router.pid}
            ip address add ${gateway}/30 dev site${number}; ip link set site${number} up`);
        router.script(`ip link add lan type veth peer name lan netns ${host.pid}
            ip address add ${wan}/30 dev wan; ip address add 192.168.0.1/24 dev lan
            for each in lo wan lan; do ip link set $each up; done
            ip route add default via ${gateway}; echo 1 > /proc/sys/net/ipv4/ip_forward`);
        host.script(`ip address add ${HOST}/24 dev lan
            for each in lo lan; do ip link set $each up; done
            ip route add default via 192.168.0.1`);
        router.run("nft", ruleset(kind, wan));
        return new Site(host, router, wan);
    }

    end() {
        this.internet.end();
    }
}

// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Runs every scenario of this directory with Microsoft's SDK against the emulator, over TCP and over TLS.
//
//   node run.mjs [--transport tcp|tls] [file …]
//
// Ends with 0 if each of them passed and there was at least one.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { makeCertificate } from "../support/certificate.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values, positionals } = parseArgs({ options: { transport: { type: "string" } }, allowPositionals: true });
const transports = values.transport ? [values.transport] : ["tcp", "tls"];
const files = positionals.length > 0
    ? positionals.map((file) => join(process.cwd(), file))
    : readdirSync(here).filter((name) => name.endsWith(".test.mjs")).sort().map((name) => join(here, name));

/** Runs the files, each in its own process that inherits the environment; counts their scenarios. */
function runFiles() {
    return new Promise((resolve) => {
        const count = { passed: 0, failed: 0, skipped: 0 };
        const tests = run({ files, concurrency: 2 });
        const tally = (kind) => ({ details, skip, name }) => {
            if (details?.type !== "suite" && !files.includes(name)) {
                count[skip !== undefined ? "skipped" : kind] += 1;
            }
        };
        tests.on("test:pass", tally("passed"));
        tests.on("test:fail", tally("failed"));
        const report = tests.compose(new spec());
        report.on("end", () => resolve(count));
        report.pipe(process.stdout, { end: false });
    });
}

const directory = mkdtempSync(join(tmpdir(), "service-bus-sdk-"));
let failed = false;
try {
    const { certificate, privateKey } = makeCertificate(directory);
    process.env.ESCQRS_SDK_CERTIFICATE = certificate;
    process.env.ESCQRS_SDK_PRIVATE_KEY = privateKey;
    process.env.NODE_EXTRA_CA_CERTS = certificate;
    for (const transport of transports) {
        process.env.ESCQRS_SDK_TRANSPORT = transport;
        const started = Date.now();
        const { passed, failed: failures, skipped } = await runFiles();
        failed ||= failures > 0 || passed === 0;
        const seconds = ((Date.now() - started) / 1000).toFixed(1);
        process.stdout.write(`SDK scenarios over ${transport}: ${passed} passed, ${failures} failed, ` +
            `${skipped} skipped in ${seconds} s\n`);
    }
} finally {
    rmSync(directory, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

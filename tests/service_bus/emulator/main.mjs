// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// An emulator of Azure Service Bus for tests, in memory. It prints its ports as one line of JSON when it listens:
//   node main.mjs [--key-name NAME] [--key KEY] [--certificate PEM --private-key PEM]
//                 [--entra-key KEY] [--amqp-port N] [--amqps-port N] [--control-port N] [--rest-port N]

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { AmqpServer } from "./amqp_server.mjs";
import { Clock } from "./clock.mjs";
import { startControl } from "./control.mjs";
import { Faults } from "./faults.mjs";
import { Namespace } from "./namespace.mjs";
import { startRestApi } from "./rest_api.mjs";

const text = (value) => ({ type: "string", default: value });
const { values: flags } = parseArgs({ options: {
    "key-name": text("RootManageSharedAccessKey"), key: text("SAS_KEY_VALUE"),
    "entra-key": text("entra-key"), // signs the tokens that stand for those of Microsoft Entra ID
    certificate: { type: "string" }, "private-key": { type: "string" },
    "amqp-port": text("0"), "amqps-port": text("0"), "control-port": text("0"), "rest-port": text("0"),
} });

const namespace = new Namespace(new Clock(), flags["entra-key"]);
namespace.putRule(flags["key-name"], flags.key, ["Manage", "Send", "Listen"]);
const faults = new Faults();
const stats = { connections: 0, tokensPut: 0, entraTokensPut: 0, attaches: 0, transfersIn: 0, transfersOut: 0, duplicatesDropped: 0,
    released: 0, renewals: 0, requestsRefused: 0, drops: 0, detaches: 0 };
const amqp = new AmqpServer(namespace, faults, stats);
const tls = flags.certificate
    ? { cert: readFileSync(flags.certificate), key: readFileSync(flags["private-key"]) } : undefined;

process.on("uncaughtException", (error) => process.stderr.write(`${error.stack}\n`)); // whatever a client sends
process.on("SIGTERM", () => process.exit(0));

const ports = {
    amqp: await amqp.listen(Number(flags["amqp-port"])),
    amqps: tls ? await amqp.listen(Number(flags["amqps-port"]), tls) : null,
    control: await startControl({ namespace, amqp, faults, stats, port: Number(flags["control-port"]) }),
    rest: (await startRestApi({ namespace, port: Number(flags["rest-port"]), tls })).port,
};
process.stdout.write(`${JSON.stringify(ports)}\n`);

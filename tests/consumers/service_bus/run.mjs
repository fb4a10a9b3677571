// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// node run.mjs PROGRAM: runs the program with the connection string of an empty queue, which must be empty afterwards, too.

import { spawnSync } from "node:child_process";

import { startEmulator } from "../../service_bus/support/emulator.mjs";

const emulator = await startEmulator();
try {
    await emulator.createQueue("greetings", { requiresSession: true });
    const { status, error } = spawnSync(process.argv[2], [`${emulator.connectionString()}EntityPath=greetings`],
        { stdio: "inherit", timeout: 30_000 });
    const { active, locked, deadLettered } = await emulator.queue("greetings");
    const left = active + locked + deadLettered;
    if (status !== 0 || left > 0) {
        throw new Error(`status ${status ?? error}, ${left} messages left in the queue`);
    }
} finally {
    await emulator.stop();
}

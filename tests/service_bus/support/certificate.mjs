// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

/**
 * Makes a self-signed certificate for localhost and 127.0.0.1, valid for a day, with openssl.
 *
 * @param {string} directory  where the two PEM files go
 * @returns {{certificate: string, privateKey: string}} their paths; clients trust the certificate itself
 */
export function makeCertificate(directory) {
    const certificate = join(directory, "certificate.pem");
    const privateKey = join(directory, "private-key.pem");
    execFileSync("openssl", [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", privateKey, "-out", certificate,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    return { certificate, privateKey };
}

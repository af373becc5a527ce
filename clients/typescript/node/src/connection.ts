import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const DEADLINE_MS = 10_000;
const ATTEMPTS = 4;

export type Step = Record<string, unknown>;

/** A connection to a service, whose calls have a deadline unless one says otherwise, and are made as the user of an access token. */
export function connect(address: string, accessToken?: string): Transport {
  const tls = tlsFiles();
  const authorize: Interceptor = (next) => (request) => {
    if (accessToken) request.header.set("authorization", `Bearer ${accessToken}`);
    return next(request);
  };
  return createGrpcTransport({
    baseUrl: `${tls ? "https" : "http"}://${address}`,
    ...(tls && { nodeOptions: tls }),
    defaultTimeoutMs: DEADLINE_MS,
    interceptors: [authorize],
  });
}

/** The files of TLS: the authority, and where the mesh asks for it the client's own certificate. Undefined for plaintext. */
function tlsFiles() {
  const { HASHIRAMART_TLS_CA: ca, HASHIRAMART_TLS_CERTIFICATE: certificate, HASHIRAMART_TLS_KEY: key } = process.env;
  if (!ca) return undefined;
  const own = certificate && key ? { cert: readFileSync(certificate), key: readFileSync(key) } : {};
  return { ca: readFileSync(ca), ...own };
}

/** Makes a call again while it fails with UNAVAILABLE. For reads, and for writes with a request_id. */
export async function retry<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable || attempt === ATTEMPTS) throw error;
      await pause(50 * 2 ** attempt);
    }
  }
}

/** What came of a step, or the error that it ended with, by its stable names. */
export async function outcome(step: () => Promise<Step>): Promise<Step> {
  try {
    return await step();
  } catch (error) {
    return { code: codeName(error), reason: reasonOf(error), fields: invalidFields(error) };
  }
}

/** The stable reason of an error, empty if it has none. */
export function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

/** The fields of the request that an INVALID_ARGUMENT error names. */
function invalidFields(error: unknown): string[] {
  const details = ConnectError.from(error).findDetails(BadRequestSchema);
  return details.flatMap((detail) => detail.fieldViolations.map((violation) => violation.field));
}

/** The code's name in gRPC: `NOT_FOUND` for `NotFound`. */
function codeName(error: unknown): string {
  return Code[ConnectError.from(error).code].replace(/\B([A-Z])/g, "_$1").toUpperCase();
}

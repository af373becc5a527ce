// The sign-in. The access token stays in memory; the refresh token is a cookie of the gateway's that no script can read.
import { useSyncExternalStore } from "react";

import { client } from "@client/gen/client.gen";
import type { Status } from "@client/gen";

const PATH = "/console/session";
// A token is renewed when it is valid for less than this, so that none ends on its way.
const MARGIN_MS = 30_000;

export type SessionState = "unknown" | "in" | "out";

let state: SessionState = "unknown";
let token = { value: "", expires: 0 };
const listeners = new Set<() => void>();

function become(next: SessionState): void {
  state = next;
  for (const listener of listeners) listener();
}

/** Calls the gateway's own session. Throws the status of an error. */
async function call(method: string, path: string, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(path, { method, headers: { "X-Console": "1", ...headers } });
  const body: unknown = await response.json();
  if (!response.ok) throw body as Status;
  const { access_token = "", expires_in = 0 } = body as { access_token?: string; expires_in?: number };
  token = { value: access_token, expires: Date.now() + expires_in * 1000 };
}

export async function signIn(email: string, password: string, code: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${email}:${password}`);
  await call("POST", PATH, { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}`, ...(code && { "X-One-Time-Code": encodeURIComponent(code) }) });
  become("in");
}

export async function signOut(): Promise<void> {
  try {
    await call("DELETE", PATH);
  } finally {
    become("out");
  }
}

/** Renews the access token. Of several tabs one does at a time, since a refresh token is valid once. */
async function refresh(): Promise<void> {
  await navigator.locks.request("console-session", async () => {
    if (token.expires - MARGIN_MS < Date.now()) await call("POST", `${PATH}/refresh`);
  });
}

/** Gets another access token, after a change of what it says. */
export async function renew(): Promise<void> {
  token.expires = 0;
  await refresh();
}

/** Whether the browser is still signed in from an earlier visit. */
export async function resume(): Promise<void> {
  try {
    await refresh();
    become("in");
  } catch {
    become("out");
  }
}

async function accessToken(): Promise<string | undefined> {
  if (state !== "in") return undefined;
  try {
    await refresh();
  } catch (error) {
    // A gateway that is away for a moment ends no sign-in.
    if ((error as Partial<Status>).code === 16) become("out");
    else throw error;
  }
  return token.value || undefined;
}

client.setConfig({ baseUrl: "/v1", auth: accessToken });

export function useSession(): SessionState {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

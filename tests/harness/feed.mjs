// A revocation feed on which nothing is ever revoked, for a service that is tested without
// an auth service. As a program of its own it prints its address and serves until it is
// ended.

import http2 from "node:http2";
import { fileURLToPath } from "node:url";

const HEARTBEAT_MS = 500;
const OPENING = 1;
const HEARTBEAT = 3;

export async function startFeed() {
  const server = http2.createServer();
  const sessions = new Set();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  server.on("stream", watch);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    stop() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

function watch(stream) {
  stream.on("error", () => {});
  stream.resume();
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  // log_id = "quiet", head_seq = 0
  stream.write(message(OPENING, [0x0a, 5, ...Buffer.from("quiet"), 0x20, ...varint(nowUs())]));
  const beat = () => stream.write(message(HEARTBEAT, [0x10, ...varint(nowUs())]));
  beat();
  const timer = setInterval(beat, HEARTBEAT_MS);
  stream.on("close", () => clearInterval(timer));
}

function nowUs() {
  return BigInt(Date.now()) * 1000n;
}

/** A gRPC frame with a WatchResponse whose event `field` holds `bytes`. */
function message(field, bytes) {
  const body = [(field << 3) | 2, bytes.length, ...bytes];
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

function varint(value) {
  const bytes = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return [...bytes, Number(value)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log((await startFeed()).address);
}

// One gRPC call as far as these tests need it: an empty or small message with a token,
// and the status that comes back. And a stream of which the end is what matters.

import http2 from "node:http2";

const LIMIT_MS = 10_000;
export const UNAUTHENTICATED = 16;
export const UNAVAILABLE = 14;

/** A connection to the service at `port`. */
export function connect(port) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  return session;
}

/** The status of calling `path` with `token` and an empty message. */
export function call(session, path, token) {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers",
      authorization: `Bearer ${token}`,
    });
    let status;
    const look = (headers) => { status = headers["grpc-status"] ?? status; };
    stream.setTimeout(LIMIT_MS, () => stream.destroy(new Error(`${path}: no answer in ${LIMIT_MS} ms`)));
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("data", () => {});
    stream.on("error", reject);
    stream.on("close", () => resolve(Number(status ?? UNAVAILABLE)));
    stream.end(Buffer.alloc(5));
  });
}

/** The claims of a token, unverified. */
export function claims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
}

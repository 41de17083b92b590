// Just enough of gRPC over HTTP/2 to send an empty message and read the status: a
// client that shares no code with anything that is tested.

import http2 from "node:http2";

const EMPTY_MESSAGE = Buffer.alloc(5); // not compressed, length 0
const TIMEOUT_MS = 10_000;

export const OK = 0;
export const UNAUTHENTICATED = 16;

/** Calls `method` with the `authorization` values given; resolves to the status code. */
export async function call(address, method, ...authorization) {
  const session = http2.connect(`http://${address}`);
  try {
    return await new Promise((resolve, reject) => {
      session.on("error", reject);
      const headers = {
        ":method": "POST", ":path": method, "content-type": "application/grpc", te: "trailers",
        ...(authorization.length > 0 && { authorization }),
      };
      const stream = session.request(headers);
      stream.setTimeout(TIMEOUT_MS, () => reject(new Error("no answer")));
      const read = (fields) => {
        if (fields["grpc-status"] !== undefined) resolve(Number(fields["grpc-status"]));
        else if (fields[":status"] !== undefined && fields[":status"] !== 200) reject(new Error(`HTTP ${fields[":status"]}`));
      };
      stream.on("response", read);
      stream.on("trailers", read);
      stream.on("error", reject);
      stream.resume();
      stream.end(EMPTY_MESSAGE);
    });
  } finally {
    session.close();
  }
}

// A relay in front of a TCP port that can be cut: connections stay open and nothing
// passes, which is what a network partition looks like from both ends.

import net from "node:net";

export async function relay(target) {
  const pairs = new Set();
  let isCut = false;
  const server = net.createServer((near) => {
    const far = net.connect(target, "127.0.0.1");
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    if (isCut) pair.forEach((socket) => socket.pause());
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        pair.forEach((other) => other.destroy());
        pairs.delete(pair);
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    cut() {
      isCut = true;
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    /** The connections of before are gone; new ones pass. */
    heal() {
      isCut = false;
      for (const pair of pairs) pair.forEach((socket) => socket.destroy());
    },
    async stop() {
      for (const pair of pairs) pair.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

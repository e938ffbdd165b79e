/** A network that can go away: everything between a browser and `origin` passes here. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * @param {string} origin http://host:port
 * @param {{strip?: RegExp}} [faults] strip: what a proxy takes out of the browser's requests
 * @returns {Promise<{origin: string, freeze: () => void, thaw: () => void, cut: () => void, restore: () => void, throttle: (bytesPerSecond: number) => void, close: () => void}>}
 *   freeze: nothing passes any more, and nobody is told, as in a tunnel; what waited passes when it thaws. cut: all
 *   connections break, and new ones too, until restore. throttle: the way up carries so much, Infinity again all
 */
export async function relay(origin, { strip } = {}) {
  const { hostname, port } = new URL(origin);
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  let frozen = false;
  let isCut = false;
  let speed = Infinity;
  const server = createServer((browser) => {
    if (isCut) {
      browser.destroy();
      return;
    }
    const daemon = connect(Number(port), hostname);
    for (const [from, to] of [[browser, daemon], [daemon, browser]]) {
      sockets.add(from);
      from.on("data", (data) => {
        to.write(strip === undefined || from !== browser ? data : Buffer.from(data.toString("latin1").replace(strip, ""), "latin1"));
        if (from !== browser || speed === Infinity) return;
        from.pause();
        setTimeout(() => frozen || from.resume(), (data.length * 1000) / speed);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
      if (frozen) from.pause();
    }
  });
  // A scene that fails does not close it, and must not keep the program from its end.
  server.unref();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    restore() {
      isCut = false;
    },
    throttle(bytesPerSecond) {
      speed = bytesPerSecond;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

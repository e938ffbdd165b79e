// An interview's token, for a backend in Node, without a dependency. The page gets it if it may hold this interview.
import { createHmac } from "node:crypto";

export function interviewToken(secret, userId, interviewId) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ userId, interviewId, iat, exp: iat + 300 })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

// Tokens as the two JWT libraries of Node's world sign them, and what both say of odd ones, as lines of JSON.
// SECRET signs; NOW is the wall clock for every verdict, in seconds since the epoch.
import { createHmac } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const secret = process.env.SECRET;
const now = Number(process.env.NOW);
const key = new TextEncoder().encode(secret);
const GOOD = { userId: 'user-1', interviewId: 'iv-1', iat: now, exp: now + 300 };

const base64url = (data) => Buffer.from(data).toString('base64url');

/** A token with exactly these claims, which no library corrects. */
function raw(changes, header = { alg: 'HS256', typ: 'JWT' }, signer = secret) {
  const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify({ ...GOOD, ...changes }))}`;
  return `${signed}.${createHmac('sha256', signer).update(signed).digest('base64url')}`;
}

async function judged(name, token) {
  const jose = await jwtVerify(token, key, { algorithms: ['HS256'], currentDate: new Date(now * 1000) }).then(
    () => true,
    () => false,
  );
  let classic = true;
  try {
    jsonwebtoken.verify(token, secret, { algorithms: ['HS256'], clockTimestamp: now });
  } catch {
    classic = false;
  }
  console.log(JSON.stringify({ name, token, jose, jsonwebtoken: classic }));
}

const { iat, exp, ...content } = GOOD;
await judged('signed by jose', await new SignJWT(content).setProtectedHeader({ alg: 'HS256' }).setIssuedAt(iat).setExpirationTime(exp).sign(key));
await judged('signed by jose, with nbf and jti', await new SignJWT(content).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuedAt(iat).setNotBefore(iat).setJti('1').setExpirationTime(exp).sign(key));
await judged('signed by jsonwebtoken', jsonwebtoken.sign({ ...content, iat }, secret, { expiresIn: 300 }));
await judged('signed by jsonwebtoken, with a subject', jsonwebtoken.sign({ ...content, iat }, secret, { expiresIn: '5m', notBefore: 0, subject: 'user-1' }));
for (const [name, changes] of Object.entries({
  'exp with a fraction': { exp: now + 300.75 },
  'iat with a fraction': { iat: now - 0.25 },
  'nbf now': { nbf: now },
  'nbf with a fraction': { nbf: now - 0.5 },
  'nbf an hour ahead': { nbf: now + 3600, exp: now + 7000 },
  'nbf as text': { nbf: String(now) },
  'exp an hour ago': { iat: now - 3900, exp: now - 3600 },
  'exp as text': { exp: String(now + 300) },
  'a numeric subject': { sub: 7 },
  'a numeric id': { jti: 7 },
  'an audience': { aud: ['a', 'b'] },
})) {
  await judged(name, raw(changes));
}
await judged('another secret', raw({}, undefined, `${secret}x`));
await judged('alg none', `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(GOOD))}.`);
await judged('HS512 in the header', raw({}, { alg: 'HS512' }));
await judged('an unknown critical header', raw({}, { alg: 'HS256', crit: ['x'], x: 1 }));

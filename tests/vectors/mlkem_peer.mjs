// The other library's side of the comparison (see mlkem_peer.sh).
//   node mlkem_peer.mjs make <count> <cases.json>    random cases, computed by it
//   node mlkem_peer.mjs open <ours.json>             opens what our program made
import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The package lies in the folder the script runs in, not beside this file.
const installed = createRequire(pathToFileURL(process.cwd() + "/"));
const { ml_kem768 } = await import(pathToFileURL(installed.resolve("@noble/post-quantum/ml-kem.js")));
const { version } = installed("./node_modules/@noble/post-quantum/package.json");

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));

// In every other case the ciphertext that is received has one bit changed, so the secret is the one of rejection.
function makeCase(index) {
  const keySeed = randomBytes(64);
  const seed = randomBytes(32);
  const { publicKey, secretKey } = ml_kem768.keygen(new Uint8Array(keySeed));
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, new Uint8Array(seed));
  const received = ml_kem768.encapsulate(publicKey).cipherText;
  if (index % 2 === 1) received[randomBytes(2).readUInt16LE() % received.length] ^= 1 << (index % 8);
  return {
    key_seed: hex(keySeed),
    seed: hex(seed),
    public_key: hex(publicKey),
    ciphertext: hex(cipherText),
    shared: hex(sharedSecret),
    received: hex(received),
    received_shared: hex(ml_kem768.decapsulate(received, secretKey)),
  };
}

function make(count, path) {
  const cases = Array.from({ length: count }, (_, index) => JSON.stringify(makeCase(index)));
  const head = JSON.stringify(`npm @noble/post-quantum ${version}`);
  writeFileSync(path, `{"source": ${head}, "testGroups": [{"tests": [\n${cases.join(",\n")}\n]}]}\n`);
}

function open(path) {
  const cases = JSON.parse(readFileSync(path, "utf8"));
  const wrong = cases.filter((c) => hex(ml_kem768.decapsulate(bytes(c.ciphertext), bytes(c.secret_key))) !== c.shared);
  console.log(`${cases.length} cases of ours: ${wrong.length} differ from theirs`);
  if (cases.length === 0 || wrong.length > 0) process.exit(1);
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === "make") make(Number(rest[0]), rest[1]);
else if (verb === "open") open(rest[0]);
else process.exit(2);

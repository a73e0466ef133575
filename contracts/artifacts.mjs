// Writes what other programs need to deploy the contracts without a compiler: the ABI and the creation code of each.
// With --check it writes nothing and fails if a committed file differs from what forge has just built.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

const check = process.argv.includes("--check");
const root = new URL(".", import.meta.url);
const contracts = ["Escrow", "TestUSDC"];
let stale = 0;

mkdirSync(new URL("artifacts/", root), { recursive: true });
for (const name of contracts) {
  const built = JSON.parse(readFileSync(new URL(`out/${name}.sol/${name}.json`, root), "utf8"));
  const abi = built.abi.map((item) => `  ${JSON.stringify(item)}`).join(",\n");
  const files = {
    [`artifacts/${name}.abi.json`]: `[\n${abi}\n]\n`,
    [`artifacts/${name}.hex`]: built.bytecode.object.replace(/^0x/, ""),
  };
  for (const [path, content] of Object.entries(files)) {
    const file = new URL(path, root);
    if (!check) writeFileSync(file, content);
    else if (!existsSync(file) || readFileSync(file, "utf8") !== content) {
      console.error(`${path} is not what the sources build; run 'node artifacts.mjs' after 'forge build'`);
      stale += 1;
    }
  }
}
process.exitCode = stale === 0 ? 0 : 1;

#!/usr/bin/env node
// The compiler from npm is WebAssembly without a command line; forge wants a native `solc`. This gives it the two
// calls that forge makes: `--version`, and `--standard-json` with the whole input on stdin.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const solc = createRequire(import.meta.url)("solc");
const args = process.argv.slice(2);

function valuesOf(flag) {
  return args.flatMap((arg, i) => (arg === flag && i + 1 < args.length ? [args[i + 1]] : []));
}

function readImport(path) {
  for (const root of [...valuesOf("--base-path"), ...valuesOf("--include-path"), "."]) {
    try {
      return { contents: readFileSync(resolve(root, path), "utf8") };
    } catch {
      continue;
    }
  }
  return { error: `File not found: ${path}` };
}

if (args.includes("--version")) {
  // forge parses the platform suffix and knows native ones only.
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  const output = solc.compile(readFileSync(0, "utf8"), { import: readImport });
  // The WebAssembly runtime keeps handles open, so the process is ended once the output is written.
  process.stdout.write(output, () => process.exit(0));
} else {
  process.stderr.write("solc.mjs answers --version and --standard-json only\n");
  process.exitCode = 1;
}

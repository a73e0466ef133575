// Finds a checkpoint with the quorum's signature in an exported log, and verifies that with OpenSSL. Knows the note's
// format (C2SP tlog-checkpoint, signed-note) and did:key, and nothing of Countersign's code.
// Arguments: the exported log, the quorum's Ed25519 key as did:key.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const [file, did] = process.argv.slice(2)
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const digits = [...did.replace('did:key:z', '')].map((c) => BigInt(ALPHABET.indexOf(c)))
const number = digits.reduce((sum, digit) => sum * 58n + digit, 0n)
const multikey = Buffer.from(number.toString(16).padStart(68, '0'), 'hex')
if (multikey.readUInt16BE(0) !== 0xed01 || multikey.length !== 34) throw new Error(`not an Ed25519 key: ${did}`)
const raw = multikey.subarray(2)
const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw])
const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })

const strings = (value) =>
  typeof value === 'string' ? [value] : value && typeof value === 'object' ? Object.values(value).flatMap(strings) : []
const texts = readFileSync(file, 'utf8').split('\n').filter(Boolean).flatMap((line) => strings(JSON.parse(line)))
const isCosigned = (note) => note.includes(`\n— ${note.split('\n')[0]}/quorum `)
const note = texts.find(isCosigned)
if (!note) throw new Error('no checkpoint has the quorum\'s signature')
const end = note.lastIndexOf('\n\n')
const text = note.slice(0, end + 1)
const name = `${text.split('\n')[0]}/quorum`
const line = note.slice(end + 2).split('\n').find((l) => l.startsWith(`— ${name} `))
const blob = Buffer.from(line.split(' ')[2], 'base64')
const id = createHash('sha256').update(`${name}\n`).update(Buffer.from([1])).update(raw).digest().subarray(0, 4)
const signed = (message) => verify(null, Buffer.from(message), key, blob.subarray(4))
const changed = text.replace(/\n(\d+)\n/, (_, size) => `\n${BigInt(size) + 1n}\n`)
console.log(blob.subarray(0, 4).equals(id), signed(text), signed(changed))

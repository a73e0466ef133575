// Speaks UCAN 1.0 through iso-ucan, for crates/ucan/tests/interop.rs.
//   node iso.mjs issue            prints chains issued by iso-ucan, the same bytes every time but for what gzip makes of them
//   node iso.mjs verify < cases   says for each case whether iso-ucan accepts it
import * as cbor from '@ipld/dag-cbor'
import { EdDSASigner } from 'iso-signatures/signers/eddsa.js'
import { verifier } from 'iso-signatures/verifiers/eddsa.js'
import { Resolver } from 'iso-signatures/verifiers/resolver.js'
import { Delegation } from 'iso-ucan/delegation'
import { Invocation } from 'iso-ucan/invocation'
import { gunzipSync, gzipSync } from 'node:zlib'

const verifierResolver = new Resolver({ ...verifier })
const FAR = 4102444800
const NOW = 1800000000

const signer = (seed) => EdDSASigner.generate(new Uint8Array(32).fill(seed))
const nonce = (n) => new Uint8Array(12).fill(n)
const base64 = (bytes) => Buffer.from(bytes).toString('base64')

// UCAN container v0.1.0; iso-ucan has none.
const plain = (tokens) => cbor.encode({ 'ctn-v1': [...tokens].sort(Buffer.compare) })
const CONTAINERS = {
  '@': (t) => Buffer.concat([Buffer.from('@'), plain(t)]),
  B: (t) => Buffer.from('B' + Buffer.from(plain(t)).toString('base64')),
  C: (t) => Buffer.from('C' + Buffer.from(plain(t)).toString('base64url')),
  M: (t) => Buffer.concat([Buffer.from('M'), gzipSync(plain(t))]),
  O: (t) => Buffer.from('O' + gzipSync(plain(t)).toString('base64')),
  P: (t) => Buffer.from('P' + gzipSync(plain(t)).toString('base64url')),
}
const READERS = {
  '@': (b) => b,
  B: (b) => Buffer.from(b.toString(), 'base64'),
  C: (b) => Buffer.from(b.toString(), 'base64url'),
  M: (b) => gunzipSync(b),
  O: (b) => gunzipSync(Buffer.from(b.toString(), 'base64')),
  P: (b) => gunzipSync(Buffer.from(b.toString(), 'base64url')),
}

async function issue() {
  const [root, service, plugin, other] = await Promise.all([1, 2, 3, 4].map(signer))
  const delegate = (iss, aud, over, n) =>
    Delegation.create({ iss, aud: aud.did, sub: root.did, cmd: '/proposal', pol: [], exp: FAR, nonce: nonce(n), now: NOW, ...over })
  const invoke = (iss, prf, over) =>
    Invocation.create({
      iss, sub: root.did, cmd: '/proposal/payout', args: { total: 500 }, prf, exp: FAR,
      nonce: nonce(99), now: NOW, verifierResolver, ...over,
    })
  const chains = []
  const header = (n) => Object.keys(CONTAINERS)[n % 6]
  const add = (name, inv, prf, expect) => {
    const tokens = [inv, ...prf]
    chains.push({
      name,
      invocation: base64(inv.bytes),
      proofs: prf.map((p) => base64(p.bytes)),
      cids: tokens.map((t) => t.cid.toString()),
      root: root.did,
      containerHeader: header(chains.length),
      container: base64(CONTAINERS[header(chains.length)](tokens.map((t) => t.bytes))),
      ...expect,
    })
  }

  add('self issued', await invoke(root, []), [], { at: NOW, expect: 'ok' })

  const hop1 = await delegate(root, service, { pol: [['<=', '.total', 1000]] }, 1)
  const hop2 = await delegate(service, plugin, {
    cmd: '/proposal/payout',
    pol: [['>', '.total', 0], ['all', '.splits', ['like', '.account', 'eip155:1:*']], ['==', '.splits[-1].bps', 10000]],
    meta: { note: 'grüße', n: -1, bytes: new Uint8Array([1, 2]) },
  }, 2)
  const args = { total: 999, splits: [{ account: 'eip155:1:0xabc', bps: 10000 }] }
  const payout = await invoke(plugin, [hop1, hop2], { aud: service.did, args, iat: NOW, cause: hop1.cid })
  add('two hops', payout, [hop1, hop2], { at: NOW, audience: service.did, expect: 'ok' })
  add('expired', payout, [hop1, hop2], { at: FAR, expect: 'Expired' })
  add('other audience', payout, [hop1, hop2], { at: NOW, audience: other.did, expect: 'InvalidAudience' })

  const future = await delegate(root, plugin, { nbf: NOW - 10 }, 3)
  add('not yet', await invoke(plugin, [future]), [future], { at: NOW - 100, expect: 'TooEarly' })

  const endless = await delegate(root, plugin, { exp: null }, 4)
  add('never expires', await invoke(plugin, [endless], { exp: null }), [endless], { at: FAR + 1, expect: 'ok' })

  const crypto = await delegate(root, plugin, { cmd: '/crypto' }, 5)
  add('command prefix that is no segment', await invoke(plugin, [crypto], { cmd: '/cryptocurrency' }), [crypto], { at: NOW, expect: 'Command' })

  const named = await delegate(root, service, {}, 6)
  const line = await delegate(service, plugin, { sub: null }, 8)
  add('powerline', await invoke(plugin, [named, line]), [named, line], { at: NOW, powerline: true, expect: 'ok' })
  add('powerline refused', await invoke(plugin, [named, line]), [named, line], { at: NOW, expect: 'InvalidSubject' })

  const kinds = { big: Number.MAX_SAFE_INTEGER, neg: -1, float: 1.5, text: 'ü', bytes: new Uint8Array(300), list: [[], {}], none: null, yes: true }
  const open = await delegate(root, plugin, {}, 9)
  add('every kind of value', await invoke(plugin, [open], { args: kinds }), [open], { at: NOW, expect: 'ok' })
  add('attacker is its own subject', await invoke(other, [], { sub: other.did }), [], { at: NOW, expect: 'InvalidSubject' })
  return { source: 'iso-ucan 0.5.0', chains }
}

async function check({ tokens, container, now, audience }) {
  try {
    let list = (tokens ?? []).map((t) => Buffer.from(t, 'base64'))
    if (container) {
      const bytes = Buffer.from(container, 'base64')
      list = cbor.decode(READERS[String.fromCharCode(bytes[0])](bytes.subarray(1)))['ctn-v1']
    }
    const store = new Map()
    let bytes
    for (const token of list) {
      const tag = Object.keys(cbor.decode(token)[1]).find((key) => key !== 'h')
      if (tag.startsWith('ucan/inv')) bytes = token
      else {
        const delegation = await Delegation.from({ bytes: token, verifierResolver, now })
        store.set(delegation.cid.toString(), delegation)
      }
    }
    const resolveProof = async (cid) => {
      const found = store.get(cid.toString())
      if (!found) throw new Error('proof not found')
      return found
    }
    const receiver = audience ? { did: audience } : undefined
    const invocation = await Invocation.from({ bytes, verifierResolver, resolveProof, audience: receiver, now })
    return { ok: true, cid: invocation.cid.toString() }
  } catch (error) {
    return { ok: false, error: String(error.message) }
  }
}

async function input() {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString())
}

const command = process.argv[2]
if (command === 'issue') {
  console.log(JSON.stringify(await issue(), null, 1))
} else if (command === 'verify') {
  console.log(JSON.stringify(await Promise.all((await input()).map(check))))
} else {
  console.error('usage: node iso.mjs issue | verify')
  process.exitCode = 2
}

/** The folder of a certificate: always one pair, whatever happens while it is changed. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { CertFolder } from '../../../src/cli/cert/folder.ts'
import { pairOf } from '../../../src/cli/cert/pair.ts'
import { tempFolder, until } from '../../clients/process.ts'
import { issued, rootPem } from './authority.ts'

const NAMES = ['bundle.pem', 'cert.pem', 'chain.pem', 'fullchain.pem', 'key.pem']

function newPair(name = 'a.example') {
  const data = issued(name, Date.now(), 60_000)
  const [certificate, key] = [String(data.certificate), String(data.private_key)]
  return pairOf({ certificate, key, chain: rootPem })
}

let made = 0
const idOf = (): string => (++made).toString(16).padStart(12, '0')
const put = (folder: CertFolder, pair = newPair()) => folder.put({ pair, asked: 'x', id: idOf() })

t.test('the files, their rights and what is in them', async t => {
  const at = path.join(tempFolder(t), 'deep/tls')
  const folder = new CertFolder(at)
  t.equal(await folder.kept(), undefined)
  await folder.prepare()
  t.equal(await folder.kept(), undefined)
  const pair = newPair()
  await folder.put({ pair, asked: 'mark', id: 'abcdefabcdef' })
  t.same(readdirSync(at).sort(), [...NAMES, 'generations', 'live'].sort())
  const read = (name: string): string => readFileSync(path.join(at, name), 'utf8')
  t.equal(read('cert.pem'), pair.certificate)
  t.equal(read('key.pem'), pair.key)
  t.equal(read('chain.pem'), rootPem)
  t.equal(read('fullchain.pem'), pair.certificate + rootPem)
  t.equal(read('bundle.pem'), pair.key + pair.certificate + rootPem)
  t.match(pair.certificate, /-----END CERTIFICATE-----\n$/)
  for (const name of NAMES) {
    const rights = statSync(path.join(at, name)).mode & 0o777
    t.equal(rights, /key|bundle/.test(name) ? 0o600 : 0o644, name)
  }
  t.match(await folder.kept(), { pair, asked: 'mark', isTold: false })
  await folder.tell()
  t.match(await folder.kept(), { isTold: true })
  const other = new CertFolder(path.join(tempFolder(t), 'group'), 0o640)
  await other.prepare()
  await put(other)
  t.equal(statSync(path.join(other.path, 'key.pem')).mode & 0o777, 0o640)
})

t.test('the generation before stays, older ones go, and other people’s files stay', async t => {
  const folder = new CertFolder(tempFolder(t))
  await folder.prepare()
  const generations = path.join(folder.path, 'generations')
  mkdirSync(path.join(generations, 'mine'))
  writeFileSync(path.join(folder.path, 'README'), 'mine')
  for (let count = 0; count < 4; count++) await put(folder)
  const kept = [made - 1, made].map(each => each.toString(16).padStart(12, '0'))
  t.same(readdirSync(generations).sort(), [...kept, 'mine'].sort())
  t.equal(readFileSync(path.join(folder.path, 'README'), 'utf8'), 'mine')
})

t.test('what is no link of ours is left alone, and said', async t => {
  for (const name of [...NAMES, 'live']) {
    const folder = new CertFolder(tempFolder(t))
    writeFileSync(path.join(folder.path, name), 'mine')
    await t.rejects(folder.prepare(), /is there already, and is no link of ours: move it away/)
    t.equal(readFileSync(path.join(folder.path, name), 'utf8'), 'mine')
    rmSync(path.join(folder.path, name))
    symlinkSync('/etc/passwd', path.join(folder.path, name))
    await t.rejects(folder.prepare(), /is no link of ours/)
    t.ok(lstatSync(path.join(folder.path, name)).isSymbolicLink())
  }
})

t.test('a crash at any step leaves the old pair or the new one', async t => {
  const folder = new CertFolder(tempFolder(t))
  await folder.prepare()
  const before = newPair()
  await put(folder, before)
  const live = path.join(folder.path, 'live')
  // Generations that were begun, a link that was left beside: as a kill between two steps leaves.
  const begun = path.join(folder.path, 'generations/00000000beef')
  mkdirSync(begun)
  writeFileSync(path.join(begun, 'key.pem'), 'half')
  symlinkSync('generations/00000000beef', path.join(folder.path, '.live.tmp'))
  t.equal((await folder.kept())?.pair.serial, before.serial)
  const after = newPair()
  await put(folder, after)
  t.equal((await folder.kept())?.pair.serial, after.serial)
  t.notMatch(readlinkSync(live), 'beef')
  t.notOk(readdirSync(path.join(folder.path, 'generations')).includes('00000000beef'))
})

/** Reads certificate and key for as long as it is not told to end; counts what does not match. */
const reader = `
const { workerData, parentPort } = require('node:worker_threads')
const { X509Certificate, createPrivateKey } = require('node:crypto')
const { readFileSync, realpathSync } = require('node:fs')
let isOver = false
let [read, wrong] = [0, 0]
parentPort.on('message', () => { isOver = true })
function round() {
  for (let count = 0; count < 20; count++) {
    try {
      look()
      read++
    } catch (error) {
      // Two generations went by since it found the folder.
      if (error.code !== 'ENOENT') throw error
    }
  }
  parentPort.postMessage({ read, wrong, isOver })
  if (!isOver) setImmediate(round)
  else parentPort.close()
}
function look() {
    const live = realpathSync(workerData + '/live')
    const certificate = new X509Certificate(readFileSync(live + '/cert.pem'))
    if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(live + '/key.pem')))) wrong++
    const bundle = readFileSync(workerData + '/bundle.pem', 'utf8')
    if (!new X509Certificate(bundle).checkPrivateKey(createPrivateKey(bundle))) wrong++
}
round()`

t.test('whoever reads while it changes never has a key of another certificate', async t => {
  const folder = new CertFolder(tempFolder(t))
  await folder.prepare()
  await put(folder)
  const worker = new Worker(reader, { eval: true, workerData: folder.path })
  let found = { read: 0, wrong: 0, isOver: false }
  worker.on('message', told => {
    found = told
  })
  for (let count = 0; count < 50 || found.read < 200; count++) await put(folder)
  worker.postMessage('over')
  await until('it is over', () => found.isOver)
  t.equal(found.wrong, 0)
  t.ok(found.read >= 200)
})

t.test('a pair whose key is of another certificate is none', async t => {
  const [one, other] = [newPair(), newPair()]
  t.throws(() => pairOf({ ...one, key: other.key }), /the key is not that of the certificate/)
  t.throws(() => pairOf({ ...one, key: 'secret stuff' }), /^the key is not readable$/)
  t.throws(() => pairOf({ ...one, certificate: 'x' }))
  t.equal(one.serial.replaceAll(':', '').length % 2, 0)
  const leaf = new X509Certificate(one.certificate)
  t.equal(leaf.serialNumber.toLowerCase(), one.serial.replaceAll(':', ''))
  t.ok(leaf.publicKey.equals(createPublicKey(createPrivateKey(one.key))))
  const folder = new CertFolder(tempFolder(t))
  await folder.prepare()
  await put(folder, one)
  writeFileSync(path.join(realpathSync(path.join(folder.path, 'live')), 'key.pem'), other.key)
  await t.rejects(folder.kept(), /the key is not that of the certificate/)
})

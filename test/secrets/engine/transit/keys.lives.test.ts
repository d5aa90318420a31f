/** Lives of keys, drawn at random, against a model that knows nothing of rows. */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import tap from 'tap'
import { seededRandom } from '../../../../src/base/prng.ts'
import { wrapKey } from '../../../../src/secrets/engine/transit/key/wrap.run.ts'
import { untilBudget } from '../../../run/budget.ts'
import type { Asked, Got, TestSecrets } from '../../harness.ts'
import { giveWrappingKey, openTransit } from './transit.ts'

/** A key as the model knows it: its versions as they are exported, once that was seen. */
interface ModelKey {
  readonly type: keyof typeof types
  readonly versions: Map<number, string | undefined>
  latest: number
  minDecryption: number
  minEncryption: number
  minAvailable: number
  exportable: boolean
  backups: boolean
  deletable: boolean
  imported: boolean
  readonly mayRotate: boolean
  away: boolean
}

const types = {
  'aes256-gcm96': 'encryption-key',
  'chacha20-poly1305': 'encryption-key',
  hmac: 'hmac-key',
  ed25519: 'signing-key',
  'ecdsa-p256': 'signing-key',
}
const NAMES = ['a', 'b', 'constructor']
const STEPS = 40

class Life {
  readonly #secrets: TestSecrets
  readonly #mount: string
  readonly #target: KeyObject
  readonly #draw: (below: number) => number
  readonly #keys = new Map<string, ModelKey>()
  readonly #backups: { readonly text: string; readonly key: ModelKey }[] = []

  constructor(secrets: TestSecrets, mount: string, target: KeyObject, seed: number) {
    const random = seededRandom(Buffer.from(String(seed)))
    this.#secrets = secrets
    this.#mount = mount
    this.#target = target
    this.#draw = below => Math.floor(random.fraction() * below)
  }

  async run(): Promise<void> {
    const acts = [
      this.#make,
      this.#rotate,
      this.#rotate,
      this.#configure,
      this.#configure,
      this.#trim,
      this.#import,
      this.#importVersion,
      this.#backUp,
      this.#restore,
      this.#setAway,
      this.#remove,
    ]
    for (let step = 0; step < STEPS; step++) {
      const name = NAMES[this.#draw(NAMES.length)]!
      const act = acts[this.#draw(acts.length)]!
      await act.call(this, name)
      await this.#compare(name, act.name)
    }
    const { body } = await this.#secrets.list(`${this.#mount}keys`)
    assert.deepEqual(body.data?.keys ?? [], [...this.#keys.keys()].sort())
  }

  #post(path: string, data: Asked['data'] = {}): Promise<Got> {
    return this.#secrets.post(this.#mount + path, data)
  }

  #flip = (): boolean => this.#draw(2) === 1

  #newKey(type: ModelKey['type'], more: Partial<ModelKey> = {}): ModelKey {
    return {
      ...{ type, versions: new Map([[1, undefined]]), latest: 1, minDecryption: 1 },
      ...{ minEncryption: 0, minAvailable: 0, exportable: this.#flip(), backups: this.#flip() },
      ...{ deletable: false, imported: false, mayRotate: true, away: false, ...more },
    }
  }

  #type(): ModelKey['type'] {
    const all = Object.keys(types) as ModelKey['type'][]
    return all[this.#draw(all.length)]!
  }

  async #make(name: string): Promise<void> {
    const key = this.#newKey(this.#type())
    const { type, exportable, backups } = key
    const data = { type, exportable, allow_plaintext_backup: backups }
    const { status, body } = await this.#post(`keys/${name}`, data)
    assert.equal(status, 200)
    assert.equal(body.warnings !== null, this.#keys.has(name))
    if (!this.#keys.has(name)) this.#keys.set(name, key)
  }

  async #rotate(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const { status } = await this.#post(`keys/${name}/rotate`)
    const may = key !== undefined && !key.away && (!key.imported || key.mayRotate)
    assert.equal(status, may ? 200 : 400)
    if (!may) return
    key.latest++
    key.versions.set(key.latest, undefined)
    key.imported = false
  }

  async #configure(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const latest = key?.latest ?? 1
    const data: Record<string, number | boolean> = {}
    if (this.#flip()) data.min_decryption_version = this.#draw(latest + 2)
    if (this.#flip()) data.min_encryption_version = this.#draw(latest + 2)
    if (this.#flip()) data.deletion_allowed = this.#flip()
    if (this.#flip()) data.exportable = this.#flip()
    if (this.#flip()) data.allow_plaintext_backup = this.#flip()
    const { status } = await this.#post(`keys/${name}/config`, data)
    if (key === undefined) return assert.equal(status, 400)
    const asked = (data.min_decryption_version ?? key.minDecryption) as number
    const minDecryption = Math.max(asked, 1)
    const minEncryption = (data.min_encryption_version ?? key.minEncryption) as number
    const isMoved = minDecryption !== key.minDecryption || minEncryption !== key.minEncryption
    const may =
      minDecryption <= latest &&
      minEncryption <= latest &&
      (minEncryption === 0 || minEncryption >= minDecryption) &&
      (!isMoved || (minEncryption >= key.minAvailable && minDecryption >= key.minAvailable))
    assert.equal(status, may ? 200 : 400)
    if (!may) return
    key.minDecryption = minDecryption
    key.minEncryption = minEncryption
    key.deletable = (data.deletion_allowed as boolean | undefined) ?? key.deletable
    key.exportable ||= data.exportable === true
    key.backups ||= data.allow_plaintext_backup === true
  }

  async #trim(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const version = this.#draw((key?.latest ?? 1) + 1)
    const { status } = await this.#post(`keys/${name}/trim`, { min_available_version: version })
    const may =
      key !== undefined &&
      version > 0 &&
      version >= key.minAvailable &&
      version <= key.minEncryption &&
      version <= key.minDecryption
    assert.equal(status, may ? 200 : 400)
    if (!may) return
    key.minAvailable = version
    for (const one of key.versions.keys()) if (one < version) key.versions.delete(one)
  }

  /** Bytes that are wrapped for the mount, and as they are exported. */
  #wrapped(): { readonly ciphertext: string; readonly text: string } {
    const bytes = randomBytes(32)
    const wrapped = wrapKey(this.#target, bytes, { hash: 'sha256', ephemeral: randomBytes(32) })
    return { ciphertext: wrapped.toString('base64'), text: bytes.toString('base64') }
  }

  async #import(name: string): Promise<void> {
    const { ciphertext, text } = this.#wrapped()
    const key = this.#newKey('aes256-gcm96', {
      ...{ versions: new Map([[1, text]]), imported: true, mayRotate: this.#flip() },
    })
    const { status } = await this.#post(`keys/${name}/import`, {
      ...{ type: key.type, ciphertext, allow_rotation: key.mayRotate },
      ...{ exportable: key.exportable, allow_plaintext_backup: key.backups },
    })
    assert.equal(status, this.#keys.has(name) ? 400 : 204)
    if (!this.#keys.has(name)) this.#keys.set(name, key)
  }

  async #importVersion(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const { ciphertext, text } = this.#wrapped()
    const { status } = await this.#post(`keys/${name}/import_version`, { ciphertext })
    const may = key?.imported === true && !key.away
    assert.equal(status, may ? 204 : 400)
    if (!may) return
    key.latest++
    key.versions.set(key.latest, text)
  }

  async #backUp(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const { status, body } = await this.#secrets.read(`${this.#mount}backup/${name}`)
    const may = key?.exportable === true && key.backups && !key.away
    assert.equal(status, may ? 200 : 400)
    if (!may) return
    this.#backups.push({
      ...{ text: body.data.backup, key: { ...key, versions: new Map(key.versions) } },
    })
  }

  async #restore(name: string): Promise<void> {
    const backup = this.#backups[this.#draw(this.#backups.length + 1)]
    if (backup === undefined) return
    const force = this.#flip()
    const { status } = await this.#post(`restore/${name}`, { backup: backup.text, force })
    const may = force || !this.#keys.has(name)
    assert.equal(status, may ? 204 : 400)
    if (may) this.#keys.set(name, { ...backup.key, versions: new Map(backup.key.versions) })
  }

  async #setAway(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const away = this.#draw(3) === 0
    const path = `keys/${name}/soft-delete`
    const got = away
      ? await this.#secrets.remove(this.#mount + path)
      : await this.#post(`${path}-restore`)
    assert.equal(got.status, key === undefined ? 204 : 200)
    if (key !== undefined) key.away = away
  }

  async #remove(name: string): Promise<void> {
    const key = this.#keys.get(name)
    const { status } = await this.#secrets.remove(`${this.#mount}keys/${name}`)
    assert.equal(status, key?.deletable === true ? 204 : 400)
    if (key?.deletable === true) this.#keys.delete(name)
  }

  /** Holds what is told and exported of a key against the model. */
  async #compare(name: string, after: string): Promise<void> {
    const key = this.#keys.get(name)
    const { status, body } = await this.#secrets.read(`${this.#mount}keys/${name}`)
    assert.equal(status, key === undefined ? 404 : 200, after)
    if (key === undefined) return
    const { data } = body
    const inUse = [...key.versions.keys()].filter(version => version >= key.minDecryption)
    const wanted = {
      ...{ type: key.type, latest_version: key.latest, imported_key: key.imported },
      ...{ min_available_version: key.minAvailable, soft_deleted: key.away },
      ...{ min_decryption_version: key.minDecryption, exportable: key.exportable },
      ...{ min_encryption_version: key.minEncryption, deletion_allowed: key.deletable },
      ...{ allow_plaintext_backup: key.backups, keys: inUse.map(String) },
    }
    const told = { ...data, keys: Object.keys(data.keys) }
    const shown = Object.fromEntries(Object.keys(wanted).map(field => [field, told[field]]))
    assert.deepEqual(shown, wanted, after)
    await this.#compareExport(name, key, inUse)
  }

  async #compareExport(name: string, key: ModelKey, inUse: readonly number[]): Promise<void> {
    const got = await this.#secrets.read(`${this.#mount}export/${types[key.type]}/${name}`)
    const may = key.exportable && !key.away
    assert.equal(got.status, may ? 200 : 400)
    if (!may) return
    const exported = got.body.data.keys as Record<string, string>
    assert.deepEqual(Object.keys(exported), inUse.map(String))
    for (const version of inUse) {
      const known = key.versions.get(version)
      if (known === undefined) key.versions.set(version, exported[version])
      else assert.equal(exported[version], known, `version ${version} of ${name}`)
    }
    assert.equal(new Set(Object.values(exported)).size, inUse.length, 'no two are the same')
  }
}

tap.test('whatever befalls keys, they are what the model says', async t => {
  const { secrets, read } = await openTransit(t)
  await giveWrappingKey(secrets)
  const target = createPublicKey((await read('wrapping_key')).body.data.public_key)
  const base = Number(process.env.SEED ?? randomBytes(4).readUInt32LE())
  const lives = await untilBudget('lives of transit keys', 2_000, async index => {
    const mount = `life-${index}/`
    await secrets.mount('transit', mount)
    await giveWrappingKey(secrets, mount)
    try {
      await new Life(secrets, mount, target, base + index).run()
    } catch (error) {
      t.comment(`SEED=${base + index}`)
      throw error
    }
  })
  t.ok(lives > 0)
})

/**
 * The verbs `operator rekey` and `operator rotate-keys`: other shares of the unseal key.
 *
 * Owns the course of it: begun with `-init`, then a share at a time, each with the nonce of the
 * attempt, then the new shares once; with `-verify` they count only when enough were given back.
 * The two verbs differ in words and paths alone.
 */
import type { Call, Flag } from '../command.ts'
import { shareFrom } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { shareFlags, sharesOf } from './operator.ts'
import { isTable, printData, printDone } from './output.ts'
import { pgpKeysOf } from './pgp.ts'
import { type Data, valueIn } from './secret.ts'
import { headedTable, wrapped } from './table.ts'
import { goText } from './values.ts'

/** What the two verbs differ in. */
interface Kind {
  readonly verb: string
  /** As it is called while it goes on. */
  readonly noun: string
  readonly title: string
  /** The key itself that changes, by target. */
  readonly paths: ReadonlyMap<string, { readonly path: string; readonly backup: string }>
}

const rekey: Kind = {
  verb: 'rekey',
  noun: 'rekey',
  title: 'Rekey',
  paths: new Map([
    ['barrier', { path: 'sys/rekey', backup: 'sys/rekey/backup' }],
    ['recovery', { path: 'sys/rekey-recovery-key', backup: 'sys/rekey/recovery-key-backup' }],
  ]),
}
const rotation: Kind = {
  verb: 'rotate-keys',
  noun: 'rotation',
  title: 'Rotation',
  paths: new Map([
    ['barrier', { path: 'sys/rotate/root', backup: 'sys/rotate/root/backup' }],
    ['recovery', { path: 'sys/rotate/recovery', backup: 'sys/rotate/recovery/backup' }],
  ]),
}

const courseFlags: readonly Flag[] = [
  { name: 'init', kind: 'switch', doc: 'begin' },
  { name: 'cancel', kind: 'switch', doc: 'give it up, with the shares that were given so far' },
  { name: 'status', kind: 'switch', doc: 'say how far it is' },
  { name: 'nonce', kind: 'text', doc: 'of the attempt, as -init printed it' },
  {
    name: 'target',
    kind: 'text',
    doc: 'barrier (default), or recovery where the seal is automatic',
  },
  {
    name: 'verify',
    kind: 'switch',
    doc: 'with -init: new shares count once enough are given back; else: that is meant',
  },
  ...shareFlags,
  { name: 'backup', kind: 'switch', doc: 'keep the new shares, encrypted by -pgp-keys' },
  { name: 'backup-retrieve', kind: 'switch', doc: 'print the shares that were kept' },
  { name: 'backup-delete', kind: 'switch', doc: 'delete them' },
]

function courseVerb(kind: Kind) {
  return secretsVerb({
    usage: '[options] [KEY]   (- reads a share from stdin; without one, it is asked for)',
    flags: [...courseFlags, formatFlag, ...httpFlags],
    examples: ['-init -key-shares=3 -key-threshold=2', '', '-nonce=2dbd10f1 -', '-status'],
    args: [0, 1],
    async run(call, client) {
      const { flags } = call
      const target = (flags.text('target') ?? 'barrier').trim().toLowerCase()
      const place = kind.paths.get(target === 'hsm' ? 'recovery' : target)
      if (place === undefined) throw new Failure(`Unknown target: ${flags.text('target')}`, 1)
      const course = new Course(call, client, kind, place)
      if (flags.isOn('backup-delete')) return course.deleteBackup()
      if (flags.isOn('backup-retrieve')) return course.printBackup()
      if (flags.isOn('cancel')) return course.cancel()
      if (flags.isOn('init')) return course.begin()
      return flags.isOn('status') ? course.printStatus() : course.give()
    },
  })
}

export const operatorRekey = courseVerb(rekey)
export const operatorRotateKeys = courseVerb(rotation)

const numberIn = (data: Data, key: string): number => Number(valueIn(data, key) ?? 0)
const listIn = (data: Data, key: string): readonly string[] => {
  const value = valueIn(data, key)
  return Array.isArray(value) ? value.map(goText) : []
}

class Course {
  readonly #call: Call
  readonly #client: SecretsClient
  readonly #kind: Kind
  readonly #path: string
  readonly #backup: string
  #isVerifying: boolean

  constructor(
    call: Call,
    client: SecretsClient,
    kind: Kind,
    { path, backup }: { readonly path: string; readonly backup: string },
  ) {
    this.#call = call
    this.#client = client
    this.#kind = kind
    this.#path = path
    this.#backup = backup
    this.#isVerifying = call.flags.isOn('verify')
  }

  /** Where a step of it is asked: of the shares themselves, or of those that are given back. */
  #place(step: 'init' | 'update'): string {
    return `${this.#path}/${this.#isVerifying ? 'verify' : step}`
  }

  async begin(): Promise<number> {
    const call = this.#call
    const { shares, threshold } = sharesOf(call)
    const keys = await pgpKeysOf(call, 'pgp-keys')
    const body = {
      secret_shares: shares,
      secret_threshold: threshold,
      ...(keys.length === 0 ? {} : { pgp_keys: keys }),
      backup: call.flags.isOn('backup'),
      require_verification: this.#isVerifying,
    }
    const ask = { method: 'PUT', path: `${this.#path}/init`, body } as const
    const work = this.#client.data(ask)
    const begun = await saying(`Error initializing ${this.#kind.noun}`, work)
    if (valueIn(begun, 'complete') === true) return this.#printKeys(begun, begun)
    if (isTable(call) && keys.length === 0) {
      const text =
        'WARNING! The new shares are printed once, and nothing brings them back. With -pgp-keys each could be read by its owner alone.'
      call.io.printError(`${wrapped(text)}\n`)
    }
    return this.#print(begun)
  }

  async cancel(): Promise<number> {
    const { noun } = this.#kind
    await saying(`Error canceling ${noun}`, this.#client.remove(this.#place('init')))
    const what = noun === 'rekey' ? 'rekeying' : noun
    return printDone(this.#call, `Success! Canceled ${what} (if it was started)`)
  }

  async printStatus(): Promise<number> {
    return this.#print(await this.#status())
  }

  async printBackup(): Promise<number> {
    const work = this.#client.data({ method: 'GET', path: this.#backup })
    return printData(this.#call, await saying('Error retrieving backed up keys', work))
  }

  async deleteBackup(): Promise<number> {
    await saying('Error deleting backed up keys', this.#client.remove(this.#backup))
    return printDone(this.#call, 'Success! Deleted backed up keys (if they existed)')
  }

  /** Gives a share; the last that is needed brings the new ones. */
  async give(): Promise<number> {
    const { noun, verb, title } = this.#kind
    const status = await this.#status()
    if (valueIn(status, 'started') !== true) {
      const begin = `${this.#call.program} operator ${verb} -init`
      throw new Failure(`No ${noun} is in progress. Begin one with "${begin}".`, 1)
    }
    const nonceNow = goText(valueIn(status, 'nonce'))
    const body = await shareFrom(this.#call, `${title} operation`, nonceNow)
    const ask = { method: 'PUT', path: this.#place('update'), body } as const
    const answer = await saying('Error posting unseal key', this.#client.data(ask))
    if (valueIn(answer, 'complete') !== true) return this.printStatus()
    if (!this.#isVerifying) return this.#printKeys(status, answer)
    const end = `The ${noun} is complete and the new keys are now active.`
    return printDone(this.#call, wrapped(`${title} verification successful. ${end}`))
  }

  #status(): Promise<Data> {
    const work = this.#client.data({ method: 'GET', path: this.#place('init') })
    return saying(`Error getting ${this.#kind.noun} status`, work)
  }

  #print(status: Data): number {
    if (!isTable(this.#call)) return printData(this.#call, status)
    this.#call.io.print(headedTable(['Key', 'Value'], statusRows(status, this.#isVerifying)))
    return 0
  }

  async #printKeys(status: Data, answer: Data): Promise<number> {
    const call = this.#call
    if (!isTable(call)) return printData(call, answer)
    const [hex, base64] = [listIn(answer, 'keys'), listIn(answer, 'keys_base64')]
    const prints = listIn(answer, 'pgp_fingerprints')
    const shown = base64.length === hex.length ? base64 : hex
    call.io.print('')
    for (const [at, key] of shown.entries()) {
      const print = prints[at]
      const begin =
        print === undefined ? `Key ${at + 1}:` : `Key ${at + 1} fingerprint: ${print}; value:`
      call.io.print(`${begin} ${key}`)
    }
    call.io.print(`\nOperation nonce: ${goText(valueIn(answer, 'nonce') ?? '')}\n`)
    const [n, t] = [numberIn(status, 'n'), numberIn(status, 't')]
    const split = `${n} key shares and a key threshold of ${t}`
    if (valueIn(status, 'verification_required') !== true) {
      const hint = 'Give each share to a person of its own: the old ones open nothing any more.'
      call.io.print(wrapped(`The keys were changed to ${split}. ${hint}`))
      return 0
    }
    const until = 'Until then the old shares count, and a seal or a cancel discards the new ones.'
    const once = `count only once ${t} of them were given back with -verify.`
    call.io.print(`${wrapped(`The new keys, ${split}, ${once} ${until}`)}\n`)
    this.#isVerifying = true
    return this.printStatus()
  }
}

function statusRows(status: Data, isVerifying: boolean): string[][] {
  const text = (key: string): string => goText(valueIn(status, key) ?? '')
  const progress = (of: string): string => `${text('progress')}/${text(of)}`
  if (isVerifying && valueIn(status, 'required') === undefined) {
    return [
      ['Started', text('started')],
      ['New Shares', text('n')],
      ['New Threshold', text('t')],
      ['Verification Nonce', text('nonce')],
      ['Verification Progress', progress('t')],
    ]
  }
  const prints = listIn(status, 'pgp_fingerprints')
  const isDone = numberIn(status, 'progress') === numberIn(status, 'required')
  const running = [
    ['Progress', `${progress('required')}${isDone ? ' (verification in progress)' : ''}`],
    ['New Shares', text('n')],
    ['New Threshold', text('t')],
    ['Verification Required', text('verification_required')],
    ...(text('verification_nonce') === ''
      ? []
      : [['Verification Nonce', text('verification_nonce')]]),
  ]
  return [
    ['Nonce', text('nonce')],
    ['Started', text('started')],
    ...(valueIn(status, 'started') === true ? running : []),
    ...(prints.length === 0
      ? []
      : [
          ['PGP Fingerprints', `[${prints.join(' ')}]`],
          ['Backup', text('backup')],
        ]),
  ]
}

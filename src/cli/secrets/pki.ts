/**
 * The verbs `pki verify-sign`, `pki list-intermediates`, `pki issue` and `pki reissue`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line, and the order of
 * the steps by which an authority below another comes to be: a request where its key lives, the
 * signature of its parent, the import of both. Where a step fails, what was done before is said.
 */
import type { Call, Flag } from '../command.ts'
import { sourceOf } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { readData } from './data.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { isTable, printData, printSecret } from './output.ts'
import { barePath } from './paths.ts'
import { readIssuer, type Signs, signsOf } from './pki-issuer.ts'
import { templateOf } from './pki-template.ts'
import { type Data, isData, keysOf, valueIn } from './secret.ts'
import { headedTable } from './table.ts'

const verdicts = (title: readonly [string, string], found: Readonly<Record<string, boolean>>) =>
  headedTable(
    title,
    Object.keys(found)
      .sort()
      .map(key => [key, String(found[key])]),
  )

export const pkiVerifySign = secretsVerb({
  usage: '[options] PARENT CHILD   (paths of issuers, MOUNT/issuer/REF)',
  flags: [formatFlag, ...httpFlags],
  examples: ['pki_root/issuer/root pki_int/issuer/first'],
  args: [2, 2],
  async run(call, client) {
    const [parent, child] = call.args.map(barePath) as [string, string]
    const issuer = await readIssuer(client, parent)
    const signs = signsOf(issuer, await readIssuer(client, child), call.io.clock.wall())
    if (!isTable(call)) return printData(call, signs)
    call.io.print(`issuer:${parent}\nissued:${child}\n`)
    call.io.print(verdicts(['field', 'value'], { ...signs }))
    return 0
  },
})

const wanted: readonly { flag: string; sign: keyof Signs; byDefault: boolean; doc: string }[] = [
  {
    flag: 'subject_match',
    sign: 'subject_match',
    byDefault: true,
    doc: 'the subject of PARENT must be the issuer of the child (on)',
  },
  {
    flag: 'key_id_match',
    sign: 'key_id_match',
    byDefault: true,
    doc: 'the key of PARENT must be the one that the child names (on)',
  },
  {
    flag: 'path_match',
    sign: 'path_match',
    byDefault: false,
    doc: 'PARENT must stand in the chain of the child (off)',
  },
  {
    flag: 'direct_sign',
    sign: 'signature_match',
    byDefault: true,
    doc: 'the key of PARENT must have signed the child (on)',
  },
  {
    flag: 'indirect_sign',
    sign: 'trust_match',
    byDefault: true,
    doc: 'who trusts PARENT must trust the child (on)',
  },
]

export const pkiListIntermediates = secretsVerb({
  usage: '[options] PARENT [CHILD...]   (issuers, or mounts of pki; all mounts unless given)',
  flags: [
    ...wanted.map(({ flag, doc }): Flag => ({ name: flag, kind: 'switch', doc })),
    { name: 'use_names', kind: 'switch', doc: 'print names of issuers where they have one' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['pki_root/issuer/default', '-use_names pki_root/issuer/default pki_int'],
  args: [1, undefined],
  async run(call, client) {
    const [parent = '', ...rest] = call.args.map(barePath)
    const issuer = await readIssuer(client, parent)
    const given = rest.length > 0 ? rest : await mountsOfPki(client)
    const found: Record<string, boolean> = {}
    for (const each of given) {
      const paths = /\/(issuer|certs|revoked)\//.test(each) ? [each] : await issuersOf(client, each)
      for (const path of paths) {
        const issued = await readIssuer(client, path)
        const signs = signsOf(issuer, issued, call.io.clock.wall())
        const isNamed = call.flags.isOn('use_names') && issued.name !== ''
        const shown = isNamed ? path.replace(/[^/]+$/, issued.name) : path
        found[shown] = wanted.every(
          ({ flag, sign, byDefault }) => !call.flags.isOn(flag, byDefault) || signs[sign],
        )
      }
    }
    if (!isTable(call)) return printData(call, found)
    call.io.print(verdicts(['intermediate', 'match?'], found))
    return 0
  },
})

async function mountsOfPki(client: SecretsClient): Promise<string[]> {
  const mounts = (await saying('Failed to list mounts', client.read('sys/mounts'), 1))?.data ?? {}
  return Object.entries(mounts)
    .filter(([, mount]) => isData(mount) && valueIn(mount, 'type') === 'pki')
    .map(([path]) => barePath(path))
}

async function issuersOf(client: SecretsClient, mount: string): Promise<string[]> {
  const listing = client.list(`${mount}/issuers`)
  const listed = await saying(`failed to read list of issuers within mount ${mount}`, listing, 1)
  return (keysOf(listed) ?? []).map(id => `${mount}/issuer/${String(id)}`)
}

// --- issuing authorities

const issueFlags: readonly Flag[] = [
  {
    name: 'type',
    kind: 'text',
    values: ['internal', 'existing', 'kms'],
    doc: 'whose key: internal makes one (default), existing takes that of key_ref',
  },
  { name: 'issuer_name', kind: 'text', doc: 'a name for the new issuer' },
  formatFlag,
  ...httpFlags,
]

export const pkiIssue = secretsVerb({
  usage: '[options] PARENT CHILD_MOUNT K=V...   (PARENT is MOUNT/issuer/REF)',
  flags: issueFlags,
  examples: ['pki_root/issuer/default pki_int common_name=Middle key_type=ec ttl=8760h'],
  args: [3, undefined],
  async run(call, client) {
    const [parent = '', mount = '', ...words] = call.args
    const data = await readData(words, sourceOf(call))
    return issue(call, client, { parent: barePath(parent), mount: barePath(mount), data })
  },
})

export const pkiReissue = secretsVerb({
  usage: '[options] PARENT TEMPLATE CHILD_MOUNT [K=V...]   (the first two are MOUNT/issuer/REF)',
  flags: issueFlags,
  examples: ['pki_root/issuer/default pki_int/issuer/first pki_int ttl=8760h'],
  args: [3, undefined],
  async run(call, client) {
    const [parent = '', template = '', mount = '', ...words] = call.args
    const changes = await readData(words, sourceOf(call))
    const found = await readIssuer(client, barePath(template))
    const isExisting = call.flags.text('type') === 'existing'
    if (isExisting && found.keyId === '') {
      throw new Failure(`The template ${template} says nothing of its key, which is needed`, 1)
    }
    const data = templateOf(found, isExisting, changes)
    return issue(call, client, { parent: barePath(parent), mount: barePath(mount), data })
  },
})

interface Issue {
  readonly parent: string
  readonly mount: string
  readonly data: Data
}

async function issue(call: Call, client: SecretsClient, wish: Issue): Promise<number> {
  const { parent, mount, data } = wish
  if (!parent.includes('/issuer/')) {
    throw new Failure(`${parent} is not the path of an issuer, MOUNT/issuer/REF`, 1)
  }
  await readIssuer(client, parent)
  const name = call.flags.text('issuer_name') ?? ''
  const type = call.flags.text('type') ?? 'internal'
  const done: string[] = []
  const step = async (what: string, path: string, body: Data): Promise<Data> => {
    const before = done.length === 0 ? '' : `\nDone before that:\n${done.join('\n')}`
    try {
      return (await client.write(path, body))?.data ?? {}
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      throw new Failure(`${what} failed at ${path}: ${text}${before}`, 1)
    }
  }
  const made = await step('The request', `${mount}/intermediate/generate/${type}`, data)
  const [csr, keyId] = [textIn(made, 'csr'), textIn(made, 'key_id')]
  done.push(`- a request was made on ${mount}${keyId && `, with the key ${keyId}`}`)
  const signed = await step('The signature', `${parent}/sign-intermediate`, { ...data, csr })
  const serial = textIn(signed, 'serial_number')
  done.push(`- ${parent} signed the certificate ${serial}`)
  const into = `${mount}/issuers/import/cert`
  const pem = { pem_bundle: textIn(signed, 'certificate') }
  const id = importedId(await step('The import', into, pem))
  done.push(`- it was imported into ${mount} as ${id}`)
  if (name !== '') await naming(client, `${mount}/issuer/${id}`, name, done)
  const chain = valueIn(signed, 'ca_chain')
  const above = Array.isArray(chain) ? chain.map(String) : [textIn(signed, 'issuing_ca')]
  if (above.length > 0)
    await step('The import of its chain', into, { pem_bundle: above.join('\n') })
  const secret = await saying(
    'Error reading the new issuer',
    client.read(`${mount}/issuer/${id}`),
    1,
  )
  return secret === undefined ? 1 : printSecret(call, secret)
}

async function naming(
  client: SecretsClient,
  path: string,
  name: string,
  done: readonly string[],
): Promise<void> {
  const fault = `The name failed, after this was done:\n${done.join('\n')}\n`
  await saying(fault, client.patch(path, { issuer_name: name }), 1)
}

/** The one issuer that came of an import, or that was there before. */
function importedId(data: Data): string {
  const mapping = valueIn(data, 'mapping')
  const id = isData(mapping) ? Object.keys(mapping)[0] : undefined
  if (id === undefined) throw new Failure('the import names no issuer', 1)
  return id
}

const textIn = (data: Data, name: string): string => String(valueIn(data, name) ?? '')

/**
 * The verbs `services register` and `services deregister`.
 *
 * Owns the reading of definitions from flags or from files of configuration (HCL or JSON); what
 * they mean is for the agent to judge.
 */
import { messageOf } from '../base/errors.ts'
import { ClientError, clientOf, queryFlags, unexpected } from './client.ts'
import { type Call, type Command, fail } from './command.ts'

/** The body of a registration; only the fields that a call needs are named. */
interface Service {
  readonly ID?: unknown
  readonly Name?: unknown
}

export const servicesRegister: Command = {
  usage: '[options] [FILE...]',
  flags: [
    { name: 'id', kind: 'text', doc: 'id of the service, if not its name' },
    { name: 'name', kind: 'text', doc: 'name of the service; instead of files' },
    { name: 'address', kind: 'text', doc: 'its address, if not that of the node' },
    { name: 'port', kind: 'number', doc: 'its port' },
    { name: 'socket', kind: 'text', doc: 'its socket file, instead of address and port' },
    { name: 'tag', kind: 'list', doc: 'a tag; may be repeated' },
    { name: 'meta', kind: 'list', doc: 'metadata: key=value; may be repeated' },
    { name: 'tagged-address', kind: 'list', doc: 'name=address:port; may be repeated' },
    { name: 'kind', kind: 'text', doc: 'kind of the service' },
    ...queryFlags,
  ],
  examples: ['web.hcl db.json', '-name=web -port=8080 -tag=v1 -meta=team=shop'],
  async run(call) {
    const { flags, args, io } = call
    const name = flags.text('name') ?? ''
    if (args.length === 0 && name === '') {
      return fail(io, 'Service registration requires at least one argument or flags.')
    }
    if (args.length > 0 && name !== '') {
      return fail(io, 'Service registration requires arguments or -id, not both.')
    }
    const services = args.length > 0 ? await servicesOfFiles(args) : [serviceOfFlags(call)]
    const client = await clientOf(call)
    for (const service of services) {
      try {
        const body = Buffer.from(JSON.stringify(service))
        const answer = await client.ask('PUT', '/v1/agent/service/register', {}, body)
        if (answer.status !== 200) throw unexpected(answer)
      } catch (error) {
        return fail(io, `Error registering service "${service.Name}": ${messageOf(error)}`)
      }
      io.print(`Registered service: ${service.Name}`)
    }
    return 0
  },
}

export const servicesDeregister: Command = {
  usage: '[options] [FILE...]',
  flags: [{ name: 'id', kind: 'text', doc: 'id of the service; instead of files' }, ...queryFlags],
  examples: ['-id=web', 'web.hcl'],
  async run(call) {
    const { flags, args, io } = call
    const flagId = flags.text('id') ?? ''
    if (args.length === 0 && flagId === '') {
      return fail(io, 'Service deregistration requires at least one argument or -id.')
    }
    if (args.length > 0 && flagId !== '') {
      return fail(io, 'Service deregistration requires arguments or -id, not both.')
    }
    const services: Service[] = args.length > 0 ? await servicesOfFiles(args) : [{ ID: flagId }]
    const client = await clientOf(call)
    for (const service of services) {
      const id = String(service.ID || service.Name)
      const path = `/v1/agent/service/deregister/${encodeURIComponent(id)}`
      try {
        const answer = await client.ask('PUT', path)
        if (answer.status !== 200) throw unexpected(answer)
      } catch (error) {
        return fail(io, `Error deregistering service "${id}": ${messageOf(error)}`)
      }
      io.print(`Deregistered service: ${id}`)
    }
    return 0
  },
}

async function servicesOfFiles(paths: readonly string[]): Promise<Service[]> {
  const { loadConfig } = await import('../agent/config-load.ts')
  const flags = paths.map(value => ({ name: 'config-file', value }))
  const loaded = await loadConfig([{ name: 'dev', value: true }, ...flags])
  if ('problems' in loaded) throw new ClientError(loaded.problems.join('\n'))
  return loaded.config.services.map(({ body }) => body)
}

function serviceOfFlags({ flags }: Call): Service {
  const port = flags.text('port')
  const meta = mapOf('meta', flags.list('meta'))
  const tagged = mapOf('tagged-address', flags.list('tagged-address'))
  const addresses = tagged.map(([key, text]): [string, object] => [key, addressOf(text)])
  const fields = {
    Kind: flags.text('kind'),
    ID: flags.text('id'),
    Name: flags.text('name'),
    Address: flags.text('address'),
    Port: port === undefined ? undefined : Number(port),
    SocketPath: flags.text('socket'),
    Tags: flags.list('tag'),
    Meta: Object.fromEntries(meta),
    TaggedAddresses: Object.fromEntries(addresses),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)))
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

function mapOf(flag: string, list: readonly string[]): [string, string][] {
  return list.map(text => {
    const at = text.indexOf('=')
    if (at <= 0) throw new ClientError(`-${flag} must be key=value`)
    return [text.slice(0, at), text.slice(at + 1)]
  })
}

function addressOf(text: string): { Address: string; Port: number } {
  const at = text.lastIndexOf(':')
  const port = Number(text.slice(at + 1))
  if (at <= 0 || !/^\d+$/.test(text.slice(at + 1)) || port > 65_535) {
    throw new ClientError('-tagged-address must be name=address:port')
  }
  return { Address: text.slice(0, at).replace(/^\[|\]$/g, ''), Port: port }
}

/**
 * The verb `maint`: maintenance of a node or of one of its services.
 *
 * Owns its texts and which flags go together, as in Consul's command line.
 */
import { asking, type Client, clientFlags, formatFlag, nodeNameOf, wantsJson } from './client.ts'
import { type Call, type Flags, fail } from './command.ts'
import { exactJson } from './json.ts'

interface Check {
  readonly CheckID: string
  readonly ServiceID: string
  readonly Notes: string
}

export const maint = asking('Error querying Consul agent', {
  usage: '[options]',
  flags: [
    { name: 'enable', kind: 'switch', doc: 'enter maintenance' },
    { name: 'disable', kind: 'switch', doc: 'leave maintenance' },
    { name: 'reason', kind: 'text', doc: 'why, with -enable' },
    { name: 'service', kind: 'text', doc: 'id of a service; the whole node unless given' },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['', "-enable -reason='disk swap'", '-enable -service=web-1', '-disable'],
  async run(call, client) {
    const { flags, io } = call
    const mistake = mistakeOf(flags)
    if (mistake !== undefined) return fail(io, mistake)
    const nodeName = await nodeNameOf(client)
    if (flags.isOn('enable') || flags.isOn('disable')) return change(call, client)
    return list(call, client, nodeName)
  },
})

function mistakeOf(flags: Flags): string | undefined {
  const [isEnable, isDisable] = [flags.isOn('enable'), flags.isOn('disable')]
  if (isEnable && isDisable) return 'Only one of -enable or -disable may be provided'
  if (!isEnable && flags.text('reason')) return 'Reason may only be provided with -enable'
  if (!isEnable && !isDisable && flags.text('service')) {
    return 'Service requires either -enable or -disable'
  }
  return undefined
}

async function change({ flags, io }: Call, client: Client): Promise<number> {
  const isEnable = flags.isOn('enable')
  const service = flags.text('service')
  const what = service ? 'service' : 'node'
  const path = service
    ? `/v1/agent/service/maintenance/${encodeURIComponent(service)}`
    : '/v1/agent/maintenance'
  try {
    const reason = flags.text('reason') || undefined
    await client.send('PUT', path, { enable: String(isEnable), reason })
  } catch (error) {
    const doing = isEnable ? 'enabling' : 'disabling'
    return fail(io, `Error ${doing} ${what} maintenance: ${(error as Error).message}`)
  }
  const title = service ? 'Service' : 'Node'
  const state = `${isEnable ? 'enabled' : 'disabled'}${service ? ` for "${service}"` : ''}`
  io.print(`${title} maintenance is now ${state}`)
  return 0
}

async function list(call: Call, client: Client, nodeName: string): Promise<number> {
  let checks: Check[]
  try {
    checks = Object.values(await client.read<Record<string, Check>>('/v1/agent/checks'))
  } catch (error) {
    return fail(call.io, `Error getting checks: ${(error as Error).message}`)
  }
  const node = checks.filter(({ CheckID }) => CheckID === '_node_maintenance')
  const services = checks.filter(({ CheckID }) => CheckID.startsWith('_service_maintenance:'))
  if (wantsJson(call)) {
    call.io.print(exactJson([...node, ...services]))
    return 0
  }
  for (const { Notes } of node) {
    call.io.print(`Node:\n  Name:   ${nodeName}\n  Reason: ${Notes}\n`)
  }
  for (const { ServiceID, Notes } of services) {
    call.io.print(`Service:\n  ID:     ${ServiceID}\n  Reason: ${Notes}\n`)
  }
  return 0
}

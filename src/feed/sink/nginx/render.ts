/**
 * The text of the file of upstreams (ngx_http_upstream_module).
 *
 * Owns the blocks. What somebody registered stands in them only where it is an address and a port.
 * Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import type { Rendered, RenderState } from '../declare.ts'
import { digestOf } from '../digest.ts'
import { summaryOf } from '../document.ts'
import { bracketed, hostOf, ipOf, isPort, shown, shownInstance } from '../place.ts'
import { type Instance, isUsable } from '../state.ts'
import { isUpstream, type NginxSettings } from './settings.ts'

/** A block of the file, in the order of the file. */
export interface NginxBlock {
  readonly name: string
  readonly text: string
  /** Where the file has such a block already, that one stays. */
  readonly isHeld: boolean
}

/** What stands in the file. */
export interface NginxWanted {
  readonly blocks: readonly NginxBlock[]
}

/** The blocks of a state. */
export function renderNginx(
  settings: NginxSettings,
  state: RenderState,
): Rendered<NginxWanted> | Refusal {
  const problems: string[] = []
  const blocks: NginxBlock[] = []
  const taken = new Set<string>()
  for (const [service, instances] of state.services) {
    const { upstreams } = settings
    const own = Object.hasOwn(upstreams, service) ? upstreams[service]! : service
    if (!isUpstream(own)) {
      return new Refusal(400, `upstreams: ${shown(service)} needs a name that nginx can take`)
    }
    if (taken.has(own)) return new Refusal(400, `upstreams: ${shown(own)} stands for two services`)
    taken.add(own)
    const text = blockText(settings, own, instances, problems)
    blocks.push({ name: own, text, isHeld: state.held.has(service) })
  }
  const what: NginxWanted = { blocks }
  return {
    what,
    digest: digestOf(blocks),
    summary: summaryOf(state, settings.use),
    problems,
  }
}

function blockText(
  settings: NginxSettings,
  name: string,
  instances: readonly Instance[],
  problems: string[],
): string {
  const { zone, balance, keepalive } = settings
  const servers = serversOf(settings, instances, problems)
  const lines = [
    ...(zone === '' ? [] : [`zone gatehouse_${name} ${zone};`]),
    ...(balance === 'round_robin' ? [] : [`${balance};`]),
    ...servers,
    ...(keepalive === 0 ? [] : [`keepalive ${keepalive};`]),
  ]
  return `upstream ${name} {\n${lines.map(line => `    ${line}\n`).join('')}}\n`
}

/** Where an instance is, as nginx takes it; undefined where it is nowhere. */
export function placeOf({ names }: NginxSettings, { address, port }: Instance): string | undefined {
  const host = names ? hostOf(address) : ipOf(address)
  return host === undefined || !isPort(port) ? undefined : `${bracketed(host)}:${port}`
}

/** An upstream must have a server that is no backup: this one answers nobody. */
const NOBODY = 'server 127.0.0.1:9 down;'

function serversOf(
  settings: NginxSettings,
  instances: readonly Instance[],
  problems: string[],
): string[] {
  const { use, failing, backup_tag: backupTag, max_fails: maxFails } = settings
  const failTimeoutSeconds = Math.round(settings.fail_timeout / 1_000)
  const lines = new Map<string, { readonly text: string; readonly rank: number }>()
  for (const one of instances) {
    const isDown = !isUsable(one, use) || one.weight === 0
    if (isDown && failing === 'omit') continue
    const place = placeOf(settings, one)
    if (place === undefined) {
      const kind = settings.names ? 'IP address or host name' : 'IP address'
      problems.push(`left out ${shownInstance(one)}: it has no ${kind} with a port`)
      continue
    }
    const isBackup = backupTag !== '' && one.tags.includes(backupTag)
    const words = [
      `server ${place}`,
      ...(one.weight > 1 ? [`weight=${Math.min(one.weight, MAX_WEIGHT)}`] : []),
      `max_fails=${maxFails}`,
      `fail_timeout=${failTimeoutSeconds}s`,
      ...(isBackup ? ['backup'] : []),
      ...(isDown ? ['down'] : []),
    ]
    // The same place twice would get twice its share: the one that may be used counts.
    const rank = isDown ? 0 : isBackup ? 1 : 2
    if ((lines.get(place)?.rank ?? -1) < rank)
      lines.set(place, { text: `${words.join(' ')};`, rank })
  }
  const found = [...lines.values()].map(({ text }) => text)
  const isAnyFirst = found.some(text => !text.includes(' backup'))
  return isAnyFirst ? found : [NOBODY, ...found]
}

const MAX_WEIGHT = 65_535

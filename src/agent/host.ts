/**
 * What the machine is like, under the names that Consul's answer has (they are gopsutil's).
 *
 * Owns reading it: from `/proc` where there is one, else from what Node knows; what is not known is
 * 0 or empty, as there. Must never fail as a whole: what could not be read stands in `Errors`.
 */
import { readdir, readFile, statfs } from 'node:fs/promises'
import { arch, cpus, freemem, hostname, platform, release, totalmem, uptime } from 'node:os'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'

type Facts = Record<string, unknown>

/** Reads everything; takes a few milliseconds. */
export async function hostFacts(clock: Clock): Promise<Facts> {
  const errors: string[] = []
  const tried = async (read: () => Promise<Facts>): Promise<Facts> => {
    try {
      return await read()
    } catch (error) {
      errors.push(messageOf(error))
      return {}
    }
  }
  const NS_PER_MS = 1e6
  const [Memory, Host, Disk] = await Promise.all([
    tried(memory),
    tried(() => system(clock)),
    tried(disk),
  ])
  const CPU = await processors()
  const CollectionTime = Math.round(clock.wall()) * NS_PER_MS
  return { Memory, CPU, Host, Disk, CollectionTime, Errors: errors }
}

const text = async (path: string): Promise<string> =>
  readFile(path, 'utf8').catch(() => {
    return ''
  })

/** `name: value kB` a line; sizes become bytes. */
export function parseMeminfo(meminfo: string): ReadonlyMap<string, number> {
  const lines = meminfo.matchAll(/^([\w()]+): +(\d+)( kB)?$/gm)
  return new Map(
    [...lines].map(([, name = '', value, kb]) => [name, Number(value) * (kb ? 1024 : 1)]),
  )
}

const MEMORY_FIELDS = {
  active: 'Active',
  inactive: 'Inactive',
  wired: '',
  laundry: '',
  buffers: 'Buffers',
  writeBack: 'Writeback',
  dirty: 'Dirty',
  writeBackTmp: 'WritebackTmp',
  shared: 'Shmem',
  slab: 'Slab',
  sreclaimable: 'SReclaimable',
  sunreclaim: 'SUnreclaim',
  pageTables: 'PageTables',
  swapCached: 'SwapCached',
  commitLimit: 'CommitLimit',
  committedAS: 'Committed_AS',
  highTotal: 'HighTotal',
  highFree: 'HighFree',
  lowTotal: 'LowTotal',
  lowFree: 'LowFree',
  swapTotal: 'SwapTotal',
  swapFree: 'SwapFree',
  mapped: 'Mapped',
  vmallocTotal: 'VmallocTotal',
  vmallocUsed: 'VmallocUsed',
  vmallocChunk: 'VmallocChunk',
  hugePagesTotal: 'HugePages_Total',
  hugePagesFree: 'HugePages_Free',
  hugePageSize: 'Hugepagesize',
} as const

async function memory(): Promise<Facts> {
  const known = parseMeminfo(await text('/proc/meminfo'))
  const of = (name: string): number => known.get(name) ?? 0
  const total = of('MemTotal') || totalmem()
  const free = of('MemFree') || freemem()
  const cached = of('Cached') + of('SReclaimable')
  const used = total - free - of('Buffers') - cached
  const rest = Object.entries(MEMORY_FIELDS).map(([field, name]) => [field, of(name)])
  return {
    total,
    available: of('MemAvailable') || free,
    used,
    usedPercent: (used / total) * 100,
    free,
    cached,
    ...Object.fromEntries(rest),
  }
}

/** One block of `name : value` lines for each processor. */
export function parseCpuinfo(cpuinfo: string): Facts[] {
  return cpuinfo
    .split('\n\n')
    .filter(block => block.trim() !== '')
    .map((block, at) => {
      const lines = block.split('\n').map(line => line.split(/\s*:\s*(.*)/s, 2))
      const of = (name: string): string => lines.find(([key]) => key === name)?.[1] ?? ''
      const CACHE_UNITS = / KB$/
      return {
        cpu: Number(of('processor') || at),
        vendorId: of('vendor_id'),
        family: of('cpu family'),
        model: of('model'),
        stepping: Number(of('stepping')) || 0,
        physicalId: of('physical id'),
        coreId: of('core id'),
        cores: 1,
        modelName: of('model name'),
        mhz: Number(of('cpu MHz')) || 0,
        cacheSize: Number(of('cache size').replace(CACHE_UNITS, '')) || 0,
        flags: of('flags').split(' ').filter(Boolean),
        microcode: of('microcode'),
      }
    })
}

async function processors(): Promise<Facts[]> {
  const found = parseCpuinfo(await text('/proc/cpuinfo'))
  if (found.length > 0) return found
  return parseCpuinfo(
    cpus()
      .map(({ model, speed }) => `model name: ${model}\ncpu MHz: ${speed}`)
      .join('\n\n'),
  )
}

/** `NAME="value"` lines. */
export function parseOsRelease(osRelease: string): ReadonlyMap<string, string> {
  const lines = osRelease.matchAll(/^(\w+)="?(.*?)"?$/gm)
  return new Map([...lines].map(([, name = '', value = '']) => [name, value]))
}

async function system(clock: Clock): Promise<Facts> {
  const release_ = parseOsRelease(await text('/etc/os-release'))
  const id = release_.get('ID') ?? ''
  const [family] = (release_.get('ID_LIKE') ?? id).split(' ')
  const upSeconds = Math.floor(uptime())
  const entries = await readdir('/proc').catch(() => [])
  return {
    hostname: hostname(),
    uptime: upSeconds,
    bootTime: Math.floor(clock.wall() / 1_000) - upSeconds,
    procs: entries.filter(name => /^\d+$/.test(name)).length,
    os: platform(),
    platform: id,
    platformFamily: family,
    platformVersion: release_.get('VERSION_ID') ?? '',
    kernelVersion: release(),
    kernelArch: arch() === 'x64' ? 'x86_64' : arch(),
    virtualizationSystem: '',
    virtualizationRole: '',
    hostid: (await text('/etc/machine-id')).trim(),
  }
}

async function disk(): Promise<Facts> {
  const path = '/'
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path)
  const used = (blocks - bfree) * bsize
  const usable = used + bavail * bsize
  const inodesUsed = files - ffree
  return {
    path,
    fstype: '',
    total: blocks * bsize,
    free: bavail * bsize,
    used,
    usedPercent: usable === 0 ? 0 : (used / usable) * 100,
    inodesTotal: files,
    inodesUsed,
    inodesFree: ffree,
    inodesUsedPercent: files === 0 ? 0 : (inodesUsed / files) * 100,
  }
}

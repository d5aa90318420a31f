/**
 * The work of tidying, on the one server that keeps the time for all.
 *
 * Owns that each step is small and says in its transaction how far it came: a server that takes
 * over goes on from there, and nothing holds the loop or the store for long.
 */

import { messageOf } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import type { Duty } from '../../../../store/timekeeper.ts'
import { untilChanged } from '../../../../store/until-changed.ts'
import { readCertificate } from '../../../../x509/certificate.ts'
import { DerError } from '../../../../x509/der.ts'
import type { DutyPorts } from '../../../declare.ts'
import { draftNow, type Fenced, writeFenced } from '../../../duty.run.ts'
import { toDurationMs } from '../../../field.ts'
import { coldOf, type MountRow, mountStill, storageOf } from '../../../mount/mount.ts'
import type { Draft } from '../../../storage.ts'
import { tidyAccounts } from '../acme/tidy.ts'
import type { CertificateRow } from '../certificates.ts'
import { dropIssuer } from '../issuer/keep.ts'
import { issuerOfRow } from '../issuer/stored.ts'
import { forgetRevoked, revokedPage } from '../revoke/tidy.ts'
import { issuersConfigOf, issuersOf } from '../rows.ts'
import {
  isRunning,
  phases,
  putRun,
  type QueuedTidy,
  runOf,
  type TidyCounts,
  type TidyRun,
  tidyQueue,
} from './run.ts'

/** The duty of tidying. */
export const tidyDuty =
  (ports: DutyPorts): Duty =>
  (signal, fenced) =>
    new Tidier(ports, fenced).run(signal)

/** What a step did: how far it came, what it is to write. */
interface Step {
  /** '' where the phase is done. */
  readonly after: string
  readonly counts: Partial<TidyCounts>
  write(draft: Draft, mount: MountRow): void
}

class Tidier {
  readonly #ports: DutyPorts
  readonly #fenced: Fenced

  constructor(ports: DutyPorts, fenced: Fenced) {
    this.#ports = ports
    this.#fenced = fenced
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#ports
    while (!signal.aborted) {
      try {
        for (const queued of this.#queue()) await this.#tidy(queued, signal)
      } catch (error) {
        log.warn('a mount could not be tidied', { error: messageOf(error) })
      }
      await untilChanged({ scopes: store.scopes, clock }, [], limits.tidyTickMs, signal)
    }
  }

  #queue(): QueuedTidy[] {
    const draft = draftNow(this.#ports)
    if (draft === undefined) return []
    const rows = tidyQueue(draft)
    return rows.keys().map(key => rows.kept<QueuedTidy>(key)!)
  }

  /** Takes step after step, until it is done, cancelled, or another server's. */
  async #tidy({ mount: queued }: QueuedTidy, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const draft = draftNow(this.#ports)
      if (draft === undefined) return
      const mount = mountStill(draft, queued)
      const run = mount && runOf(storageOf(draft, mount))
      if (mount === undefined || run === undefined || !isRunning(run)) {
        await this.#write(inside => tidyQueue(inside).delete(queued.uuid))
        return
      }
      if (run.state === 'Cancelling') {
        await this.#end(mount, run, { state: 'Cancelled' })
        return
      }
      const step = await this.#stepOf(draft, mount, run).catch(messageOf)
      if (typeof step === 'string') {
        await this.#end(mount, run, { state: 'Error', error: step })
        return
      }
      const isOver = step.after === '' && run.phase === phases.at(-1)
      if (isOver) await this.#end(mount, run, { state: 'Finished' }, step)
      else await this.#advance(mount, run, step)
      if (isOver) return
      await untilChanged(
        { scopes: this.#ports.store.scopes, clock: this.#ports.clock },
        [],
        toDurationMs(run.settings.pause) ?? 0,
        signal,
      )
    }
  }

  async #write(change: (draft: Draft) => void): Promise<void> {
    const barrier = this.#ports.barrier()
    if (barrier === undefined) return
    const isWritten = await writeFenced(this.#ports, this.#fenced, barrier, change)
    if (!isWritten) throw new Error('another server keeps the time by now')
  }

  /** Writes what a step did, and where the next one begins. */
  #advance(mount: MountRow, run: TidyRun, step: Step): Promise<void> {
    const phase = step.after === '' ? phases[phases.indexOf(run.phase) + 1]! : run.phase
    return this.#write(draft => {
      const storage = storageOf(draft, mount)
      const now = runOf(storage)
      // Whoever cancels it does so between two steps.
      if (now === undefined || !isRunning(now)) return
      step.write(draft, mount)
      putRun(storage, { ...now, phase, after: step.after, counts: sum(now.counts, step.counts) })
    })
  }

  #end(
    mount: MountRow,
    run: TidyRun,
    how: Pick<TidyRun, 'state' | 'error'>,
    step?: Step,
  ): Promise<void> {
    return this.#write(draft => {
      step?.write(draft, mount)
      const counts = sum(run.counts, step?.counts ?? {})
      putRun(storageOf(draft, mount), { ...run, ...how, counts, finishedMs: draft.now })
      tidyQueue(draft).delete(mount.uuid)
    })
  }

  #stepOf(draft: Draft, mount: MountRow, run: TidyRun): Promise<Step> {
    switch (run.phase) {
      case 'certificates':
        return this.#certificates(draft, mount, run)
      case 'revoked':
        return Promise.resolve(revoked(draft, mount, run))
      case 'issuers':
        return Promise.resolve(issuers(run))
      default:
        return Promise.resolve(accounts(run))
    }
  }

  /** Looks at a page of what is stored. */
  async #certificates(draft: Draft, mount: MountRow, { settings, after }: TidyRun): Promise<Step> {
    const limit = Math.min(settings.pageRows, limits.coldPageRows)
    const cold = coldOf(draft, mount)
    const page = await cold.scan<CertificateRow>('', {
      limit,
      ...(after !== '' && { after }),
    })
    const gone = page.filter(({ value }) => {
      const isOver = value.notAfterMs + settings.safetyBufferMs < draft.now
      if (settings.tidy_cert_store && isOver) return true
      return settings.tidy_invalid_certs && !isCertificate(value)
    })
    return {
      after: page.length < limit ? '' : page.at(-1)!.path,
      counts: { stored: page.length - gone.length, storedDeleted: gone.length },
      write: inside => {
        const area = coldOf(inside, mount)
        for (const { path } of gone) area.delete(path)
      },
    }
  }
}

function isCertificate({ der }: CertificateRow): boolean {
  try {
    readCertificate(Buffer.from(der, 'base64'))
    return true
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

/** A page of revoked certificates: those that are over go, of others the issuer is looked for. */
function revoked(draft: Draft, mount: MountRow, { settings, after }: TidyRun): Step {
  const page = revokedPage(storageOf(draft, mount), after, settings.pageRows)
  const isOver = (expiresAtMs: number): boolean =>
    settings.tidy_revoked_certs && expiresAtMs + settings.revokedSafetyBufferMs < draft.now
  const gone = page.filter(({ row }) => isOver(row.expiresAtMs))
  const missing = page.filter(({ row }) => row.issuerId === '')
  return {
    after: page.length < settings.pageRows ? '' : page.at(-1)!.serial,
    counts: {
      revoked: page.length - gone.length,
      revokedDeleted: gone.length,
      issuersMissing: missing.length,
    },
    write(inside, at) {
      forgetRevoked(
        storageOf(inside, at),
        gone.map(({ serial }) => serial),
        inside.now,
      )
      const cold = coldOf(inside, at)
      for (const { serial } of gone) cold.delete(serial)
    },
  }
}

const issuers = ({ settings }: TidyRun): Step => ({
  after: '',
  counts: {},
  write(draft, mount) {
    if (!settings.tidy_expired_issuers) return
    const storage = storageOf(draft, mount)
    const { default: defaultId } = issuersConfigOf(storage)
    for (const row of issuersOf(storage)) {
      const overMs = issuerOfRow(row).certificate.notAfter.getTime()
      if (row.id === defaultId || overMs + settings.issuerSafetyBufferMs >= draft.now) continue
      dropIssuer({ storage, now: draft.now }, row)
    }
  },
})

function accounts({ settings }: TidyRun): Step {
  const counts: { -readonly [K in keyof TidyCounts]?: number } = {}
  return {
    ...{ after: '', counts },
    write(draft, mount) {
      if (!settings.tidy_acme) return
      const done = tidyAccounts(storageOf(draft, mount), draft.now, settings.accountSafetyBufferMs)
      counts.accounts = done.all
      counts.accountsRevoked = done.revoked
      counts.accountsDeleted = done.deleted
    },
  }
}

function sum(before: TidyCounts, more: Partial<TidyCounts>): TidyCounts {
  const all = { ...before } as Record<keyof TidyCounts, number>
  for (const [name, count] of Object.entries(more)) all[name as keyof TidyCounts] += count ?? 0
  return all
}

/**
 * What tests of factors stand on: an authority, names that lead to loopback, a clock on which the
 * pauses between polls take no time, and what no reason may ever say.
 */
import type { Test } from 'tap'
import { systemClock, type Timer } from '../../../../src/base/clock.ts'
import { clientContext } from '../../../../src/base/io/tls.ts'
import { limits } from '../../../../src/base/limits.ts'
import { TlsMaterial } from '../../../../src/base/tls.ts'
import type { FactorOutcome } from '../../../../src/secrets/mfa/factor/factor.ts'
import type { FactorPorts } from '../../../../src/secrets/mfa/factor/service.run.ts'
import { tempFolder } from '../../../clients/process.ts'
import { FakeClock } from '../../../fake/clock.ts'
import { makeAuthority, type Pair } from '../../../x509/pki.ts'
import { CANARY } from './fake/service.ts'

/** Its time stands still but for polls, whose pauses are over at once. */
class PollClock extends FakeClock {
  /** How much of them there was, in that of one. */
  pauses = 0

  override after(delayMs: number, run: () => void): Timer {
    const pauses = delayMs / limits.factorPollMs
    if (![1, 2, 4].includes(pauses)) return super.after(delayMs, run)
    this.pauses += pauses
    return systemClock.after(0, run)
  }
}

export interface FactorWorld {
  readonly clock: PollClock
  readonly ports: FactorPorts
  readonly tls: Pair
  /** By an authority that nobody trusts. */
  readonly foreign: Pair
}

/** A world in which hosts `*.test` lie on loopback. */
export function factorWorld(t: Test, more: Partial<FactorPorts> = {}): FactorWorld {
  const folder = tempFolder(t)
  const authority = makeAuthority(folder)
  const names = { dnsNames: ['api-1.duo.test', 'acme.okta.test', 'idp.ping.test'], addresses: [] }
  const clock = new PollClock()
  const ca = [Buffer.from(authority.cert)]
  return {
    clock,
    tls: authority.issue('services', names),
    foreign: makeAuthority(folder, 'foreign').issue('services', names),
    ports: {
      clock,
      resolver: {
        async addressesOf(host) {
          if (!host.endsWith('.test')) throw new Error(`there is no ${host}`)
          return ['127.0.0.1']
        },
      },
      mayReach: () => true,
      context: clientContext(new TlsMaterial({ ca })),
      ...more,
    },
  }
}

/** The reason of a refusal, which is fit to be told: '' for a pass. */
export function reasonOf(t: Test, outcome: FactorOutcome, secrets: readonly string[]): string {
  if (outcome.passed) return ''
  const { reason } = outcome
  const told = [CANARY, ...secrets].filter(secret => reason.includes(secret))
  if (told.length > 0) t.fail(`a reason tells what it must not: ${told}`)
  if (!/^[\x20-\x7e]{1,160}$/.test(reason)) t.fail(`a reason of another form: ${reason}`)
  return reason
}

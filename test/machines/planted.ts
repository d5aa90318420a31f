/**
 * The program with a fault planted in it: proof that a run would notice.
 *
 * Its first word names the fault, which begins at SIGUSR2; the rest is a command line of gatehouse.
 * changed from here: the product knows nothing of it.
 */
import type { Revision } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { Assembler } from '../../src/store/etcd/assembler.ts'
import { EtcdStore } from '../../src/store/etcd/engine.ts'

const DROPPED_EVERY = 40

const planted = {
  /** A default read is answered from what this server happens to know. */
  'stale as default'() {
    EtcdStore.prototype.readIndex = function (): Promise<Revision> {
      return Promise.resolve(this.view().revision)
    }
  },
  /** Now and then a change is not heard of. */
  'a dropped event'() {
    const push = Assembler.prototype.push
    let count = 0
    Assembler.prototype.push = function (response) {
      const events = response.events.filter(({ kv }) => {
        const isRow = !kv.key.includes('/system/')
        return !isRow || ++count % DROPPED_EVERY !== 0
      })
      return push.call(this, { ...response, events })
    }
  },
  /** A write is answered before anybody has it. */
  'an early answer'() {
    const write = EtcdStore.prototype.write
    EtcdStore.prototype.write = function (decide, record) {
      const done = write.call(this, decide, record)
      done.catch(() => {})
      const early = new Promise<never>((resolve, reject) => {
        setImmediate(() => {
          // What the rule says of the view as it is stands in for what will come of it.
          const view = this.view()
          const answer = decide(view, 0 as never, undefined as never)
          if (answer instanceof Refusal || answer.txn.length === 0)
            done.then(resolve as never, reject)
          else {
            const at = { revision: view.revision, index: this.indexOf(view.revision) }
            const told = answer.answer
            resolve({
              ...at,
              answer: typeof told === 'function' ? (told as (at: object) => unknown)(at) : told,
            } as never)
          }
        })
      })
      return early.catch(() => done) as never
    }
  },
} satisfies Readonly<Record<string, () => void>>

export type Planted = keyof typeof planted

const [name] = process.argv.splice(2, 1)
let isPlanted = false
// A cluster is founded and joined as it should be: the fault begins when the test says so.
process.on('SIGUSR2', () => {
  if (!isPlanted) planted[name as Planted]()
  isPlanted = true
})
await import('../../src/main.ts')

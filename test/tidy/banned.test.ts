/**
 * Calls that our sources must not make, each with the reason, and what rule files may not do.
 */
import t from 'tap'
import { linesOf, none, sourcesOf } from './source.ts'

interface Ban {
  readonly why: string
  readonly pattern: RegExp
  /** Files that may. */
  readonly except?: RegExp
}

const base = /^src\/base\//
const clock = /^src\/base\/clock\.ts$/

const bans: readonly Ban[] = [
  {
    why: 'time comes from the Clock that is passed in',
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bprocess\.(hrtime|uptime)\b/g,
    except: base,
  },
  {
    why: 'timers come from the Clock that is passed in',
    pattern: /\b(setTimeout|setInterval|setImmediate)\b/g,
    except: base,
  },
  { why: 'randomness comes from the Random that is passed in', pattern: /\bMath\.random\b/g },
  {
    why: 'ids come from the Random that is passed in',
    pattern: /\brandomUUID\b/g,
    except: clock,
  },
  {
    why: "dns.lookup blocks the disk's thread pool",
    pattern: /\b(dns\.)?lookup\(|\blookupService\b/g,
    // Of services, from the feed.
    except: /^src\/client\/mod\.ts$/,
  },
  { why: 'output goes through what is passed in', pattern: /\bconsole\b/g },
  {
    why: 'only the program itself ends the process',
    pattern: /\bprocess\.(exit|abort|reallyExit)\(/g,
    except: /^src\/(main\.ts|cli\/)/,
  },
  { why: 'no code from text', pattern: /\beval\(|\bnew Function\b|\bvm\./g },
  {
    why: 'names that somebody sends are looked up with Object.hasOwn, or constructor is known',
    pattern: /\(!?\(?[a-z]\w* in [a-z]\w*\)/g,
  },
  { why: 'a program is started by its words, never by a shell', pattern: /\bshell: true\b/g },
]

/** Rooms hold rules: synchronous and without I/O, so that they can run again under a seed. */
const rules = /^src\/(identity|registry|checks|secrets|mesh|feed|audit|cluster)\//
const wiring = /\.run\.ts$|\/(device|sink)\//
const outside =
  /^node:(net|tls|dgram|http|https|http2|fs|fs\/promises|child_process|worker_threads)$/

const sources = sourcesOf('src')

for (const { why, pattern, except } of bans) {
  t.test(why, async t => {
    const bound = sources.filter(source => !except?.test(source.path))
    none(
      t,
      bound.flatMap(source => linesOf(source, source.code, pattern)),
    )
  })
}

t.test('imports that are not allowed anywhere', async t => {
  const wrong = sources.flatMap(source =>
    source.imports.flatMap(({ from, names }) => {
      const isShell =
        from === 'node:child_process' && names.some(name => /^exec(Sync)?$/.test(name))
      const isLookup = from.startsWith('node:dns') && !base.test(source.path)
      return isShell || isLookup ? [`${source.path}: ${names} from ${from}`] : []
    }),
  )
  none(t, wrong)
})

t.test('the type checker is not silenced', async t => {
  for (const source of sources) none(t, linesOf(source, source.text, /@ts-\w+|biome-ignore-all/g))
})

t.test('rules are synchronous and do no I/O', async t => {
  for (const source of sources) {
    if (!rules.test(source.path) || wiring.test(source.path)) continue
    none(t, linesOf(source, source.code, /\basync\b|\bawait\b|\bPromise\b/g))
    const doing = source.imports.filter(({ from, names }) => {
      return outside.test(from) && !names.every(name => /^isIP/.test(name))
    })
    none(
      t,
      doing.map(({ from }) => `${source.path}: ${from}`),
    )
  }
})

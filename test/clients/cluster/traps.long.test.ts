/** The traps of traps.test.ts, set before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../traps.test.ts')

/** The page of sinks, followed before three servers, the requests spread over them. */
process.env.GATEHOUSE_TEST_TARGET = 'cluster'
await import('../sinks-page.test.ts')

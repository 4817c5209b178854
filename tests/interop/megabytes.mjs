/** What each bulk case carries each way: KOLLATOR_INTEROP_MEGABYTES, or what takes some seconds. */
export function megabytes(byDefault) {
    return Number(process.env.KOLLATOR_INTEROP_MEGABYTES ?? byDefault);
}

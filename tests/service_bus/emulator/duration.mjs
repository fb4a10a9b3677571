// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

/** What the service writes for "without end": the longest .NET TimeSpan. */
export const forever = "P10675199DT2H48M5.4775807S";

const foreverMs = 10_675_199 * 86_400_000;

/**
 * Milliseconds of an ISO 8601 duration of days, hours, minutes and seconds; null for one without end.
 *
 * @throws {RangeError} if the text is no such duration
 */
export function durationToMs(text) {
    const match = /^P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
    if (!match || text === "P") {
        throw new RangeError(`'${text}' is no duration`);
    }
    const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
    const ms = Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000);
    return ms >= foreverMs ? null : ms;
}

/** ISO 8601 duration of that many milliseconds; null is without end. */
export function msToDuration(ms) {
    if (ms === null) {
        return forever;
    }
    const days = Math.floor(ms / 86_400_000);
    const hours = Math.floor(ms / 3_600_000) % 24;
    const minutes = Math.floor(ms / 60_000) % 60;
    const seconds = (ms % 60_000) / 1000;
    const time = (hours ? `${hours}H` : "") + (minutes ? `${minutes}M` : "") + (seconds ? `${seconds}S` : "");
    return `P${days ? `${days}D` : ""}${time ? `T${time}` : ""}`.replace(/^P$/, "PT0S");
}

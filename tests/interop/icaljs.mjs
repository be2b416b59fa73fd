// Reads calendars with ical.js. Standard input: {"want": "entries" | "starts" | "replaying" | "keeping",
// "calendars": ["BEGIN:VCALENDAR…", …], "cuts": [2, …]}; standard output: one answer for each calendar, of the last two
// one for each cut: what is shown after so many calendars. Zones are those that the calendar itself defines.
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

const seconds = (component, name) => component.getFirstPropertyValue(name)?.toUnixTime() ?? null;
const text = (component, name) => component.getFirstPropertyValue(name)?.toString() ?? "";

function person(property) {
  const [, { ...parameters }, , value] = property.toJSON();
  const upper = Object.fromEntries(Object.entries(parameters).map(([name, it]) => [name.toUpperCase(), it]));
  return { address: value.replace(/^mailto:/i, ""), parameters: upper };
}

function entry(calendar) {
  const events = calendar.getAllSubcomponents("vevent");
  const event = events[0];
  const organizer = event.getFirstProperty("organizer");
  return {
    method: text(calendar, "method"),
    events: events.length,
    alarms: event.getAllSubcomponents("valarm").length,
    uid: text(event, "uid"),
    sequence: event.getFirstPropertyValue("sequence"),
    status: text(event, "status"),
    transp: text(event, "transp"),
    class: text(event, "class"),
    stamp: seconds(event, "dtstamp"),
    created: seconds(event, "created"),
    modified: seconds(event, "last-modified"),
    start: seconds(event, "dtstart"),
    end: seconds(event, "dtend"),
    zone: event.getFirstProperty("dtstart").getParameter("tzid") ?? "",
    summary: text(event, "summary"),
    description: text(event, "description"),
    location: text(event, "location"),
    url: text(event, "url"),
    conference: text(event, "conference"),
    categories: event.getAllProperties("categories").flatMap((each) => each.getValues()),
    organizer: organizer ? person(organizer) : null,
    attendees: event.getAllProperties("attendee").map(person),
  };
}

const starts = (calendar) => calendar.getAllSubcomponents("vevent").map((event) => seconds(event, "dtstart"));

// A calendar that follows iTIP (RFC 5546 §2.1.5, §3.2.2, §3.2.5) by itself: what it shows after these mails, in order.
// Programs differ in one thing: whether single occurrences stay when the whole rule comes again (`keeps`).
function replay(calendars, keeps, cuts) {
  const held = new Map(), states = [show(held)];
  for (const calendar of calendars) {
    for (const event of calendar.getAllSubcomponents("vevent")) receive(held, calendar, event, keeps);
    states.push(show(held));
  }
  return cuts.map((cut) => states[cut]);
}

const show = (held) => [...held.values()].flatMap(occurrences).sort((one, other) => one[0] - other[0]);

function receive(held, calendar, event, keeps) {
  const uid = text(event, "uid"), recurrence = event.getFirstPropertyValue("recurrence-id");
  const entry = held.get(uid) ?? { master: null, single: new Map(), off: [] };
  const id = recurrence ? recurrence.toUnixTime() : "";
  const known = recurrence ? entry.single.get(id) : entry.master;
  if (known && !isNewer(event, known)) return;
  held.set(uid, entry);
  if (text(calendar, "method") === "CANCEL") {
    if (!recurrence) held.delete(uid);
    entry.single.delete(id);
    if (recurrence) entry.off.push(id);
  } else if (recurrence) {
    entry.single.set(id, event);
  } else {
    Object.assign(entry, { master: event, off: [], single: keeps ? entry.single : new Map() });
  }
}

function isNewer(event, known) {
  const [sequence, before] = [event, known].map((each) => each.getFirstPropertyValue("sequence"));
  return sequence > before || (sequence === before && seconds(event, "dtstamp") > seconds(known, "dtstamp"));
}

function occurrences({ master, single, off }) {
  if (!master) return [...single.values()].map(shown);
  if (!master.getFirstProperty("rrule")) return [shown(master)];
  const event = new ICAL.Event(master, { exceptions: [...single.values()], strictExceptions: false });
  const found = [];
  for (const iterator = event.iterator(); ; ) {
    const next = iterator.next();
    if (!next) return found;
    if (off.includes(next.toUnixTime())) continue;
    const { startDate, endDate, item } = event.getOccurrenceDetails(next);
    found.push([startDate.toUnixTime(), endDate.toUnixTime(), item.summary, place(item.component)]);
  }
}

function shown(component) {
  const event = new ICAL.Event(component);
  return [event.startDate.toUnixTime(), event.endDate.toUnixTime(), event.summary, place(component)];
}

const place = (component) => ["location", "conference", "description"].map((name) => text(component, name)).join("\n");

const { want, calendars, cuts } = JSON.parse(readFileSync(0, "utf8"));
const answer = { entries: entry, starts }[want];
const read = calendars.map((each) => new ICAL.Component(ICAL.parse(each)));
const answers = answer ? read.map(answer) : replay(read, want === "keeping", cuts);
process.stdout.write(JSON.stringify(answers));

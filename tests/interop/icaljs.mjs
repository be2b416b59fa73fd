// Reads calendars with ical.js. Standard input: {"want": "entries" | "starts", "calendars": ["BEGIN:VCALENDAR…", …]};
// standard output: one answer for each calendar. Zones are those that the calendar itself defines.
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

const { want, calendars } = JSON.parse(readFileSync(0, "utf8"));
const answer = { entries: entry, starts }[want];
const answers = calendars.map((each) => answer(new ICAL.Component(ICAL.parse(each))));
process.stdout.write(JSON.stringify(answers));

// Does with ical.js what a calendar program does with an invitation. Standard input: {"do": "store" | "answer",
// "calendar": "BEGIN:VCALENDAR…", "partstat": "ACCEPTED", "stamp": "2026-01-05T12:01:00Z"}; standard output: a calendar.
// "store" takes the method away (RFC 4791 §4.1); "answer" sets the attendee's PARTSTAT and makes the REPLY of it.
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

const asked = JSON.parse(readFileSync(0, "utf-8"));
const calendar = new ICAL.Component(ICAL.parse(asked.calendar));
const event = calendar.getFirstSubcomponent("vevent");

function answer() {
  const attendee = event.getFirstProperty("attendee");
  attendee.setParameter("partstat", asked.partstat);
  attendee.removeParameter("rsvp");
  event.updatePropertyWithValue("dtstamp", ICAL.Time.fromDateTimeString(asked.stamp));
  const reply = new ICAL.Component("vcalendar");
  reply.updatePropertyWithValue("version", "2.0");
  reply.updatePropertyWithValue("prodid", "-//ical.js//a calendar program//EN");
  reply.updatePropertyWithValue("method", "REPLY");
  const told = new ICAL.Component("vevent");
  const said = ["uid", "sequence", "dtstamp", "dtstart", "dtend", "organizer", "attendee", "summary"];
  for (const name of said) for (const each of event.getAllProperties(name)) told.addProperty(ICAL.Property.fromString(each.toICALString()));
  for (const zone of calendar.getAllSubcomponents("vtimezone")) reply.addSubcomponent(ICAL.Component.fromString(zone.toString()));
  reply.addSubcomponent(told);
  return reply;
}

calendar.removeProperty("method");
process.stdout.write((asked.do === "store" ? calendar : answer()).toString() + "\r\n");

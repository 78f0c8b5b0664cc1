package org.alpaca4j.core.internal.jinja;

import java.time.Clock;
import java.time.LocalDateTime;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Python's {@code datetime.now().strftime(format)} in the C locale, with glibc's flags. */
final class Strftime {

  private Strftime() {}

  static String format(String format, Clock clock) {
    LocalDateTime now = LocalDateTime.now(clock);
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        out.append(c);
        continue;
      }
      char flag = 0;
      c = format.charAt(++i);
      if ("-_0^#".indexOf(c) >= 0 && i + 1 < format.length()) {
        flag = c;
        c = format.charAt(++i);
      }
      out.append(field(c, flag, now, clock));
    }
    return out.toString();
  }

  private static String field(char c, char flag, LocalDateTime now, Clock clock) {
    int hour12 = now.getHour() % 12 == 0 ? 12 : now.getHour() % 12;
    int weekday = now.getDayOfWeek().getValue() % 7;
    return switch (c) {
      case 'Y' -> pad(now.getYear(), 1, '0', flag);
      case 'C' -> pad(now.getYear() / 100, 2, '0', flag);
      case 'y' -> pad(now.getYear() % 100, 2, '0', flag);
      case 'm' -> pad(now.getMonthValue(), 2, '0', flag);
      case 'd' -> pad(now.getDayOfMonth(), 2, '0', flag);
      case 'e' -> pad(now.getDayOfMonth(), 2, ' ', flag);
      case 'j' -> pad(now.getDayOfYear(), 3, '0', flag);
      case 'H' -> pad(now.getHour(), 2, '0', flag);
      case 'k' -> pad(now.getHour(), 2, ' ', flag);
      case 'I' -> pad(hour12, 2, '0', flag);
      case 'l' -> pad(hour12, 2, ' ', flag);
      case 'M' -> pad(now.getMinute(), 2, '0', flag);
      case 'S' -> pad(now.getSecond(), 2, '0', flag);
      case 'f' -> String.format(Locale.ROOT, "%06d", now.getNano() / 1000);
      case 'p' ->
          flag == '#' ? (now.getHour() < 12 ? "am" : "pm") : now.getHour() < 12 ? "AM" : "PM";
      case 'P' -> now.getHour() < 12 ? "am" : "pm";
      case 'A' -> text(name(now.getDayOfWeek().name()), flag);
      case 'a' -> text(name(now.getDayOfWeek().name()).substring(0, 3), flag);
      case 'B' -> text(name(now.getMonth().name()), flag);
      case 'b', 'h' -> text(name(now.getMonth().name()).substring(0, 3), flag);
      case 'u' -> Integer.toString(now.getDayOfWeek().getValue());
      case 'w' -> Integer.toString(weekday);
      case 'U' -> pad((now.getDayOfYear() + 6 - weekday) / 7, 2, '0', flag);
      case 'W' ->
          pad(
              (now.getDayOfYear() + 6 - now.getDayOfWeek().minus(1).getValue() % 7) / 7,
              2,
              '0',
              flag);
      case 'V' -> pad(now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR), 2, '0', flag);
      case 'G' -> pad(now.get(IsoFields.WEEK_BASED_YEAR), 1, '0', flag);
      case 'g' -> pad(now.get(IsoFields.WEEK_BASED_YEAR) % 100, 2, '0', flag);
      case 'D', 'x' -> format("%m/%d/%y", fixed(now, clock));
      case 'F' -> format("%Y-%m-%d", fixed(now, clock));
      case 'T', 'X' -> format("%H:%M:%S", fixed(now, clock));
      case 'R' -> format("%H:%M", fixed(now, clock));
      case 'r' -> format("%I:%M:%S %p", fixed(now, clock));
      case 'c' -> format("%a %b %e %H:%M:%S %Y", fixed(now, clock));
      case 's' -> Long.toString(now.atZone(clock.getZone()).toEpochSecond());
      case 'z', 'Z' -> "";
      case 'n' -> "\n";
      case 't' -> "\t";
      case '%' -> "%";
      default -> throw JinjaException.unsupported("the date format %" + c);
    };
  }

  private static Clock fixed(LocalDateTime now, Clock clock) {
    return Clock.fixed(now.atZone(clock.getZone()).toInstant(), clock.getZone());
  }

  private static String pad(int value, int width, char fill, char flag) {
    char with = flag == '_' ? ' ' : flag == '0' ? '0' : fill;
    String digits = Integer.toString(value);
    int missing = flag == '-' ? 0 : Math.max(0, width - digits.length());
    return String.valueOf(with).repeat(missing) + digits;
  }

  private static String name(String constant) {
    return constant.charAt(0) + constant.substring(1).toLowerCase(Locale.ROOT);
  }

  private static String text(String text, char flag) {
    return flag == '^' || flag == '#' ? text.toUpperCase(Locale.ROOT) : text;
  }
}

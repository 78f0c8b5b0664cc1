package org.alpaca4j.examples;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import org.alpaca4j.data.InstructionRecord;

/**
 * An invented world that a very small model can know: 96 villagers with a home, a trade and a pet,
 * sums up to 24, and lists of everyday things.
 *
 * <p>{@link #stories} is plain text about it, for a base model to learn the facts and the skills
 * from. {@link #training} and {@link #heldOut} are instructions about the same world that share
 * nothing: no villager, sum or list of one is in the other. What a fine-tuned model answers to the
 * held-out ones, it knows from the stories; only how to answer is new to it.
 *
 * <p>Everything is a pure function of a fixed seed.
 */
final class TinyWorld {
  private static final long SEED = 20_240_229;
  private static final int HELD_OUT_PEOPLE = 16;
  private static final int HELD_OUT_SUMS = 12;
  private static final int LARGEST_ADDEND = 12;

  // Questions of knowledge are few, so that the training does not overwrite what it does not ask.
  private static final int TRAINING_PER_KIND_OF_KNOWLEDGE = 120;
  private static final int TRAINING_PER_KIND_OF_LIST = 500;
  private static final int HELD_OUT_PER_KIND = 12;

  private static final List<String> NAME_STARTS =
      List.of("Al", "Be", "Co", "Da", "El", "Fi", "Gu", "Ha", "Jo", "Ki", "Lu", "Mo");
  private static final List<String> NAME_ENDS =
      List.of("bin", "dra", "fen", "lis", "mar", "nok", "tia", "vo");
  private static final List<String> VILLAGES =
      List.of(
          "Ashbrook",
          "Foxhill",
          "Larkfield",
          "Mossgate",
          "Pinewood",
          "Reedwick",
          "Stonebay",
          "Westmill");
  private static final List<String> TRADES =
      List.of("baker", "farmer", "miller", "potter", "sailor", "singer", "teacher", "weaver");
  private static final List<String> ANIMALS =
      List.of("cat", "dog", "duck", "goat", "hen", "pony", "rabbit", "sheep");
  private static final List<Category> CATEGORIES =
      List.of(
          new Category("an animal", ANIMALS),
          new Category(
              "a fruit",
              List.of("apple", "cherry", "fig", "lemon", "melon", "peach", "pear", "plum")),
          new Category(
              "a tool",
              List.of("broom", "bucket", "hammer", "lamp", "needle", "rope", "saw", "spade")),
          new Category(
              "a garment",
              List.of("belt", "coat", "glove", "hat", "scarf", "shirt", "shoe", "sock")));
  private static final List<String> NUMBERS = List.of("no", "one", "two", "three", "four", "five");

  private record Category(String name, List<String> things) {}

  private record Person(String name, String village, String trade, String pet) {}

  private record Sum(int a, int b) {}

  /** Things in a row, all different; the one at {@code odd} alone is of its category. */
  private record Row(List<String> things, int odd, Category category) {
    String text() {
      return String.join(", ", things);
    }

    String reversed() {
      List<String> backwards = new ArrayList<>(things);
      Collections.reverse(backwards);
      return String.join(", ", backwards);
    }

    String first() {
      return things.get(0);
    }

    String last() {
      return things.get(things.size() - 1);
    }

    String count() {
      return NUMBERS.get(things.size());
    }

    String picked() {
      return "The " + things.get(odd) + " is " + category.name + ".";
    }
  }

  private final List<Person> people = new ArrayList<>();
  private final List<Sum> sums = new ArrayList<>();

  TinyWorld() {
    Random random = new Random(SEED);
    for (String start : NAME_STARTS) {
      for (String end : NAME_ENDS) {
        people.add(
            new Person(
                start + end, any(VILLAGES, random), any(TRADES, random), any(ANIMALS, random)));
      }
    }
    Collections.shuffle(people, random);
    for (int a = 1; a <= LARGEST_ADDEND; a++) {
      for (int b = a; b <= LARGEST_ADDEND; b++) {
        sums.add(new Sum(a, b));
      }
    }
    Collections.shuffle(sums, random);
  }

  /** Returns plain text: small documents, without any instruction. */
  List<String> stories(int count) {
    Random random = new Random(SEED + 1);
    List<String> stories = new ArrayList<>(count);
    while (stories.size() < count) {
      stories.add(
          switch (random.nextInt(6)) {
            case 0, 1 -> portrait(any(people, random), random);
            case 2 -> arithmetic(random);
            case 3, 4 -> shelf(row(random), random);
            default -> walk(row(random), random);
          });
    }
    return stories;
  }

  /** Returns a sentence about each villager that ends with the village. */
  List<String> homes() {
    return people.stream().map(TinyWorld::livesIn).toList();
  }

  /** Returns the instructions to fine-tune on, in random order. */
  List<InstructionRecord> training() {
    Random random = new Random(SEED + 2);
    Set<String> heldOutRows = new HashSet<>();
    heldOut().forEach(record -> heldOutRows.add(record.input()));
    List<InstructionRecord> records =
        instructions(
            random,
            people.subList(HELD_OUT_PEOPLE, people.size()),
            sums.subList(HELD_OUT_SUMS, sums.size()),
            heldOutRows,
            TRAINING_PER_KIND_OF_KNOWLEDGE,
            TRAINING_PER_KIND_OF_LIST);
    Collections.shuffle(records, random);
    return records;
  }

  /** Returns the instructions to test with: one of each kind, then the next of each kind. */
  List<InstructionRecord> heldOut() {
    return instructions(
        new Random(SEED + 3),
        people.subList(0, HELD_OUT_PEOPLE),
        sums.subList(0, HELD_OUT_SUMS),
        Set.of(),
        HELD_OUT_PER_KIND,
        HELD_OUT_PER_KIND);
  }

  private static List<InstructionRecord> instructions(
      Random random,
      List<Person> people,
      List<Sum> sums,
      Set<String> excludedRows,
      int perKindOfKnowledge,
      int perKindOfList) {
    Supplier<Person> person = () -> any(people, random);
    Supplier<Row> row =
        () -> {
          Row drawn = row(random);
          while (excludedRows.contains(drawn.text())) {
            drawn = row(random);
          }
          return drawn;
        };
    List<Supplier<InstructionRecord>> knowledge =
        List.of(
            () -> askVillage(person.get(), random),
            () -> askTrade(person.get(), random),
            () -> askPet(person.get(), random),
            () -> askPortrait(person.get(), random),
            () -> askSum(any(sums, random), random));
    List<Supplier<InstructionRecord>> lists =
        List.of(
            () -> askReversed(row.get(), random),
            () -> askFirst(row.get(), random),
            () -> askLast(row.get(), random),
            () -> askCount(row.get(), random),
            () -> askPicked(row.get(), random));
    Set<InstructionRecord> seen = new HashSet<>();
    List<InstructionRecord> records = new ArrayList<>();
    for (int i = 0; i < Math.max(perKindOfKnowledge, perKindOfList); i++) {
      List<Supplier<InstructionRecord>> kinds = new ArrayList<>();
      kinds.addAll(i < perKindOfKnowledge ? knowledge : List.of());
      kinds.addAll(i < perKindOfList ? lists : List.of());
      for (Supplier<InstructionRecord> kind : kinds) {
        InstructionRecord record = kind.get();
        for (int tries = 0; tries < 20 && seen.contains(record); tries++) {
          record = kind.get();
        }
        if (seen.add(record)) {
          records.add(record);
        }
      }
    }
    return records;
  }

  // What the stories tell.

  private static String portrait(Person p, Random random) {
    List<String> facts =
        new ArrayList<>(
            List.of(
                any(
                    List.of(livesIn(p), "The home of " + p.name + " is in " + p.village + "."),
                    random),
                any(List.of(isA(p), p.name + " works as a " + p.trade + "."), random),
                any(List.of(hasA(p), "The pet of " + p.name + " is a " + p.pet + "."), random)));
    Collections.shuffle(facts, random);
    return random.nextInt(3) == 0 ? whole(p) : String.join(gap(random), facts);
  }

  private static String livesIn(Person p) {
    return p.name + " lives in " + p.village + ".";
  }

  private static String isA(Person p) {
    return p.name + " is a " + p.trade + ".";
  }

  private static String hasA(Person p) {
    return p.name + " has a " + p.pet + ".";
  }

  private static String whole(Person p) {
    return p.name + " is a " + p.trade + " from " + p.village + " and has a " + p.pet + ".";
  }

  private static String arithmetic(Random random) {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      int a = 1 + random.nextInt(LARGEST_ADDEND);
      int b = 1 + random.nextInt(LARGEST_ADDEND);
      String sum = any(List.of("%d and %d make %d.", "%d plus %d is %d."), random);
      lines.add(String.format(Locale.ROOT, sum, a, b, a + b));
    }
    return String.join(gap(random), lines);
  }

  private static String shelf(Row row, Random random) {
    String gap = gap(random);
    List<String> remarks =
        new ArrayList<>(
            List.of(
                "From back to front:" + gap + row.reversed() + ".",
                "The first thing is the " + row.first() + ".",
                "The last thing is the " + row.last() + ".",
                any(List.of("These", "There"), random) + " are " + row.count() + " things.",
                row.picked()));
    Collections.shuffle(remarks, random);
    return "On the shelf:" + gap + row.text() + "." + gap + String.join(gap, remarks.subList(0, 3));
  }

  private String walk(Row row, Random random) {
    String name = any(people, random).name;
    return any(
        List.of(
            name + " packs " + row.text() + " and unpacks " + row.reversed() + ".",
            name + " sees " + row.text() + ". " + row.picked(),
            name + " counts " + row.text() + ": " + row.count() + " things.",
            name
                + " takes "
                + row.text()
                + ", first the "
                + row.first()
                + ", last the "
                + row.last()
                + "."),
        random);
  }

  /** Three to five things; one of a category, the others not of it. */
  private static Row row(Random random) {
    Category category = any(CATEGORIES, random);
    int length = 3 + random.nextInt(3);
    int odd = random.nextInt(length);
    List<String> things = new ArrayList<>();
    while (things.size() < length) {
      Category other = things.size() == odd ? category : any(CATEGORIES, random);
      String thing = any(other.things, random);
      if ((things.size() == odd || !other.equals(category)) && !things.contains(thing)) {
        things.add(thing);
      }
    }
    return new Row(things, odd, category);
  }

  // What is asked, and how to answer.

  private static InstructionRecord askVillage(Person p, Random random) {
    return ask(
        random,
        livesIn(p),
        "Where does " + p.name + " live?",
        "In which village is " + p.name + " at home?");
  }

  private static InstructionRecord askTrade(Person p, Random random) {
    return ask(
        random, isA(p), "What is " + p.name + "'s job?", "What does " + p.name + " work as?");
  }

  private static InstructionRecord askPet(Person p, Random random) {
    return ask(
        random,
        hasA(p),
        "Which pet does " + p.name + " have?",
        "What animal lives with " + p.name + "?");
  }

  private static InstructionRecord askPortrait(Person p, Random random) {
    return ask(
        random, whole(p), "Who is " + p.name + "?", "Introduce " + p.name + " in one sentence.");
  }

  private static InstructionRecord askSum(Sum sum, Random random) {
    boolean swap = random.nextBoolean();
    int a = swap ? sum.b : sum.a;
    int b = swap ? sum.a : sum.b;
    return ask(
        random,
        a + " plus " + b + " is " + (a + b) + ".",
        "What is " + a + " plus " + b + "?",
        "Add " + a + " and " + b + ".");
  }

  private static InstructionRecord askReversed(Row row, Random random) {
    return ask(
        random, row, row.reversed(), "Reverse the list.", "Write the list from back to front.");
  }

  private static InstructionRecord askFirst(Row row, Random random) {
    return ask(
        random,
        row,
        "The first thing is the " + row.first() + ".",
        "Which thing comes first?",
        "Name the first thing in the list.");
  }

  private static InstructionRecord askLast(Row row, Random random) {
    return ask(
        random,
        row,
        "The last thing is the " + row.last() + ".",
        "Which thing comes last?",
        "Name the last thing in the list.");
  }

  private static InstructionRecord askCount(Row row, Random random) {
    return ask(
        random,
        row,
        "There are " + row.count() + " things.",
        "How many things are there?",
        "Count the things in the list.");
  }

  private static InstructionRecord askPicked(Row row, Random random) {
    return ask(
        random,
        row,
        row.picked(),
        "Which of these is " + row.category.name + "?",
        "Find " + row.category.name + " in the list.");
  }

  private static InstructionRecord ask(Random random, String answer, String... phrasings) {
    return InstructionRecord.of(any(List.of(phrasings), random), answer);
  }

  private static InstructionRecord ask(Random random, Row row, String answer, String... phrasings) {
    return new InstructionRecord(any(List.of(phrasings), random), row.text(), answer);
  }

  /** What follows, follows on the same line or on the next. */
  private static String gap(Random random) {
    return random.nextBoolean() ? " " : "\n";
  }

  private static <T> T any(List<T> choices, Random random) {
    return choices.get(random.nextInt(choices.size()));
  }
}

package org.alpaca4j.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaAnnotation;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.domain.JavaType;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

/**
 * Rules over all modules at once. They live here because the examples are the one module that sees
 * every other.
 */
class ArchitectureTest {

  private static final String CORE = "org.alpaca4j.core..";
  private static final String DATA = "org.alpaca4j.data..";
  private static final String TRAIN = "org.alpaca4j.train..";
  private static final String WEIGHTS = "org.alpaca4j.weights..";
  private static final String EXAMPLES = "org.alpaca4j.examples..";

  /** Third-party packages that a user of the library must not have to know. */
  private static final List<String> HIDDEN =
      List.of("com.fasterxml.jackson.", "com.google.common.", "com.google.gson.", "com.sun.jna.");

  private static final JavaClasses ALL =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.alpaca4j");

  private static final JavaClasses LIBRARY =
      ALL.that(
          JavaClass.Predicates.resideInAnyPackage(CORE, DATA, TRAIN, WEIGHTS)
              .as("library classes"));

  @Test
  void everyModuleIsSeenByThisTest() {
    assertThat(LIBRARY.stream().map(JavaClass::getPackageName))
        .contains(
            "org.alpaca4j.core", "org.alpaca4j.data", "org.alpaca4j.train", "org.alpaca4j.weights");
  }

  @Test
  void modulesDependInOneDirection() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .layer("core")
        .definedBy(CORE)
        .layer("data")
        .definedBy(DATA)
        .layer("train")
        .definedBy(TRAIN)
        .layer("weights")
        .definedBy(WEIGHTS)
        .optionalLayer("examples")
        .definedBy(EXAMPLES)
        .whereLayer("data")
        .mayOnlyBeAccessedByLayers("train", "examples")
        .whereLayer("train")
        .mayOnlyBeAccessedByLayers("examples")
        .whereLayer("weights")
        .mayOnlyBeAccessedByLayers("examples")
        .whereLayer("examples")
        .mayNotBeAccessedByAnyLayer()
        .check(ALL);
  }

  @Test
  void modulesFormNoCycles() {
    slices().matching("org.alpaca4j.(*)..").should().beFreeOfCycles().check(ALL);
  }

  @Test
  void examplesUseThePublicPackagesOnly() {
    noClasses()
        .that()
        .resideInAPackage(EXAMPLES)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.alpaca4j..internal..")
        .allowEmptyShould(true)
        .check(ALL);
  }

  @Test
  void publicSignaturesShowNoJacksonGuavaGsonOrJnaType() {
    classes()
        .that(JavaClass.Predicates.resideOutsideOfPackage("..internal.."))
        .should(showNoHiddenTypeInPublicSignatures())
        .allowEmptyShould(true)
        .check(LIBRARY);
  }

  @Test
  void theLibraryNeverPrints() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.allowEmptyShould(true).check(LIBRARY);
  }

  @Test
  void theLibraryLogsThroughSlf4jOnly() {
    NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.allowEmptyShould(true).check(LIBRARY);
  }

  @Test
  void everyLibraryPackageIsNullMarked() {
    Set<String> unmarked = new TreeSet<>();
    for (JavaClass type : LIBRARY) {
      JavaPackage inPackage = type.getPackage();
      if (!inPackage.isAnnotatedWith(NullMarked.class)) {
        unmarked.add(inPackage.getName());
      }
    }
    assertThat(unmarked).as("packages whose package-info.java lacks @NullMarked").isEmpty();
  }

  private static ArchCondition<JavaClass> showNoHiddenTypeInPublicSignatures() {
    return new ArchCondition<>("show no type of " + HIDDEN + " in public signatures") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        if (!isVisibleToUsers(type)) {
          return;
        }
        report(type, typesInDeclaration(type), type.getFullName(), events);
        for (JavaMember member : type.getMembers()) {
          if (isPublicOrProtected(member.getModifiers())
              && !member.getModifiers().contains(JavaModifier.SYNTHETIC)) {
            report(type, typesInSignature(member), member.getFullName(), events);
          }
        }
      }
    };
  }

  private static void report(
      JavaClass type, Stream<JavaClass> shown, String where, ConditionEvents events) {
    shown
        .map(ArchitectureTest::elementType)
        .filter(ArchitectureTest::isHidden)
        .map(JavaClass::getName)
        .distinct()
        .forEach(name -> events.add(SimpleConditionEvent.violated(type, where + " shows " + name)));
  }

  private static Stream<JavaClass> typesInDeclaration(JavaClass type) {
    Stream<JavaType> supertypes =
        Stream.concat(type.getSuperclass().stream(), type.getInterfaces().stream());
    Stream<JavaType> bounds =
        type.getTypeParameters().stream().flatMap(p -> p.getBounds().stream());
    return Stream.concat(
        Stream.concat(supertypes, bounds).flatMap(t -> t.getAllInvolvedRawTypes().stream()),
        annotationTypes(type.getAnnotations()));
  }

  private static Stream<JavaClass> typesInSignature(JavaMember member) {
    Stream<JavaClass> thrown =
        member instanceof JavaCodeUnit code ? code.getExceptionTypes().stream() : Stream.empty();
    return Stream.of(
            member.getAllInvolvedRawTypes().stream(),
            thrown,
            annotationTypes(member.getAnnotations()))
        .flatMap(s -> s);
  }

  private static Stream<JavaClass> annotationTypes(Set<? extends JavaAnnotation<?>> annotations) {
    return annotations.stream().map(JavaAnnotation::getRawType);
  }

  private static JavaClass elementType(JavaClass type) {
    return type.getBaseComponentType();
  }

  private static boolean isHidden(JavaClass type) {
    return HIDDEN.stream().anyMatch(type.getName()::startsWith)
        // Notes to readers and static analysis; nothing a caller needs on the class path.
        && !type.getName().startsWith("com.google.common.annotations.");
  }

  private static boolean isVisibleToUsers(JavaClass type) {
    return isPublicOrProtected(type.getModifiers())
        && type.getEnclosingClass().map(ArchitectureTest::isVisibleToUsers).orElse(true);
  }

  private static boolean isPublicOrProtected(Set<JavaModifier> modifiers) {
    return modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED);
  }
}

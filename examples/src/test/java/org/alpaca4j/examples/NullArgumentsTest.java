package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.alpaca4j.core.AddedToken;
import org.alpaca4j.data.AdgenRecord;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedExample;
import org.alpaca4j.data.selfinstruct.ModelReply;
import org.alpaca4j.data.selfinstruct.SeedTask;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whoever gives null where none may be hears the argument's name: {@code folder is null}. Arguments
 * of setters are called as the setter.
 */
class NullArgumentsTest {
  /** The records that callers make; the others are results, whose constructors only we call. */
  private static final Set<Class<?>> INPUTS =
      Set.of(
          AddedToken.class,
          AdgenRecord.class,
          Conversation.class,
          InstructionRecord.class,
          ModelReply.class,
          SeedTask.class,
          SupervisedExample.class);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"core", "data", "train", "weights"})
  void everyArgumentIsNamed(String module) throws IOException {
    List<Class<?>> types = publicTypes("org.alpaca4j." + module);
    Set<String> unnamed = new TreeSet<>();
    try (SampleValues samples = new SampleValues(folder)) {
      for (Class<?> type : types) {
        executables(type).forEach(call -> tryNulls(samples, type, call, unnamed));
      }
    }
    assertThat(types).isNotEmpty();
    assertThat(unnamed).isEmpty();
  }

  private static List<Class<?>> publicTypes(String root) {
    List<Class<?>> types = new ArrayList<>();
    for (JavaClass type :
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(root)) {
      if (!type.getPackageName().contains(".internal")
          && isPublic(type)
          && !type.isAssignableTo(Throwable.class)
          && !type.isAnonymousClass()
          && !type.getSimpleName().endsWith("Listener")) { // whose methods we call
        types.add(type.reflect());
      }
    }
    return types;
  }

  /** With the classes around it. */
  private static boolean isPublic(JavaClass type) {
    return type.getModifiers().contains(JavaModifier.PUBLIC)
        && type.getEnclosingClass().map(NullArgumentsTest::isPublic).orElse(true);
  }

  private static Stream<Executable> executables(Class<?> type) {
    Stream<Executable> constructors =
        type.isRecord() && !INPUTS.contains(type)
            ? Stream.empty()
            : Arrays.stream(type.getConstructors());
    Stream<Executable> methods =
        Arrays.stream(type.getMethods())
            .filter(method -> method.getDeclaringClass().getName().startsWith("org.alpaca4j."))
            .filter(method -> !method.isBridge() && !method.isSynthetic())
            .filter(method -> !type.isEnum() || !method.getName().equals("valueOf"))
            .filter(method -> !Modifier.isAbstract(method.getModifiers()))
            .map(Executable.class::cast);
    return Stream.concat(constructors, methods);
  }

  private static void tryNulls(
      SampleValues samples, Class<?> type, Executable call, Set<String> unnamed) {
    Parameter[] parameters = call.getParameters();
    for (int i = 0; i < parameters.length; i++) {
      if (mayBeNull(parameters[i])) {
        continue;
      }
      String name = parameters[i].getName();
      String expected = (name.equals("value") ? call.getName() : name) + " is null";
      String said = said(samples, type, call, i);
      if (!said.startsWith(expected)) {
        unnamed.add(
            "%s#%s(%d): %s: %s"
                .formatted(
                    call.getDeclaringClass().getName(),
                    call.getName(),
                    parameters.length,
                    name,
                    said));
      }
    }
  }

  private static boolean mayBeNull(Parameter parameter) {
    return parameter.getType().isPrimitive()
        || parameter.getAnnotatedType().isAnnotationPresent(Nullable.class)
        || parameter.getType() == Object.class;
  }

  /** Calls with null for one argument, and returns how that was refused. */
  private static String said(SampleValues samples, Class<?> type, Executable call, int argument) {
    try {
      Class<?>[] types = call.getParameterTypes();
      @Nullable Object[] arguments = new Object[types.length];
      for (int i = 0; i < types.length; i++) {
        arguments[i] = i == argument ? null : samples.of(types[i]);
      }
      if (call instanceof Constructor<?> constructor) {
        constructor.newInstance(arguments);
      } else {
        Method method = (Method) call;
        method.setAccessible(true); // builders inherit from classes that are not public
        method.invoke(
            Modifier.isStatic(method.getModifiers()) ? null : samples.of(type), arguments);
      }
      return "nothing";
    } catch (InvocationTargetException e) {
      Throwable cause = e.getCause();
      return cause instanceof NullPointerException || cause instanceof IllegalArgumentException
          ? String.valueOf(cause.getMessage())
          : String.valueOf(cause);
    } catch (ReflectiveOperationException | IllegalArgumentException e) {
      return "no test: " + e;
    }
  }
}
